/// First in, first out.
struct Queue<Element> {
    private var elements: [Element] = []
    private var first = 0

    var isEmpty: Bool { first == elements.count }
    var count: Int { elements.count - first }
    var front: Element? { isEmpty ? nil : elements[first] }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard let element = front else { return nil }
        first += 1
        // What is behind is let go of when it is half of all.
        if first > 32, first * 2 > elements.count {
            elements.removeFirst(first)
            first = 0
        } else if isEmpty {
            elements.removeAll(keepingCapacity: true)
            first = 0
        }
        return element
    }
}
