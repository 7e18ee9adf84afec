extension MutableSpan {
    /// Sorts the first `count` elements without allocating (a shell sort): a turn brings a few hundred at most, often in order
    /// already. Not stable.
    package mutating func sortInPlace(_ count: Int, by areInIncreasingOrder: (Element, Element) -> Bool) {
        for gap in [132, 57, 23, 10, 4, 1] where gap < count {
            for start in gap..<count where areInIncreasingOrder(self[start], self[start - gap]) {
                let element = self[start]
                var hole = start
                repeat {
                    self[hole] = self[hole - gap]
                    hole -= gap
                } while hole >= gap && areInIncreasingOrder(element, self[hole - gap])
                self[hole] = element
            }
        }
    }
}

extension Array {
    /// Sorts without allocating. Not stable.
    package mutating func sortInPlace(by areInIncreasingOrder: (Element, Element) -> Bool) {
        let count = count
        var elements = mutableSpan
        elements.sortInPlace(count, by: areInIncreasingOrder)
    }
}
