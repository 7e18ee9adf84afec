/// Values in the order in which they came.
package struct FIFO<Value> {
    private var values: [Value?] = []
    private var head = 0

    package init() {}

    package var isEmpty: Bool { head == values.count }
    package var count: Int { values.count - head }
    package var first: Value? { isEmpty ? nil : values[head] }

    package mutating func append(_ value: Value) {
        // What was taken is dropped now and then, so that a queue that never runs empty does not grow.
        if head > 32, head * 2 > values.count {
            values.removeFirst(head)
            head = 0
        }
        values.append(value)
    }

    package mutating func popFirst() -> Value? {
        guard !isEmpty else { return nil }
        let value = values[head]
        values[head] = nil
        head += 1
        if head == values.count {
            values.removeAll(keepingCapacity: true)
            head = 0
        }
        return value
    }

    package mutating func prepend(_ earlier: [Value]) {
        values.replaceSubrange(0..<head, with: earlier)
        head = 0
    }

    /// Takes out what fits the description.
    package mutating func remove(where fits: (Value) -> Bool) -> [Value] {
        var removed: [Value] = []
        var kept: [Value?] = []
        for case let value? in values[head...] {
            if fits(value) { removed.append(value) } else { kept.append(value) }
        }
        values = kept
        head = 0
        return removed
    }
}
