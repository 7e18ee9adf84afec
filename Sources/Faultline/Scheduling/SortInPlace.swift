extension Array {
    /// Sorts without allocating. Short arrays, and those that are nearly in order, are what a turn brings: insertion
    /// for them; the standard library's sort, which needs a buffer, for the rest.
    mutating func sortInPlace(by areInIncreasingOrder: (Element, Element) -> Bool) {
        guard count <= 64 else {
            sort(by: areInIncreasingOrder)
            return
        }
        var index = 1
        while index < count {
            var hole = index
            while hole > 0, areInIncreasingOrder(self[hole], self[hole - 1]) {
                swapAt(hole, hole - 1)
                hole -= 1
            }
            index += 1
        }
    }
}
