extension Range<Int> {
    /// Calls `body` with the parts of this range that none of `others` covers, in order.
    func forEachPart(outside others: [Range<Int>], _ body: (Range<Int>) -> Void) {
        guard !others.isEmpty else { return body(self) }
        var start = lowerBound
        for other in others.sorted(by: { $0.lowerBound < $1.lowerBound }) where other.overlaps(self) {
            if other.lowerBound > start { body(start..<other.lowerBound) }
            start = Swift.max(start, other.upperBound)
        }
        if start < upperBound { body(start..<upperBound) }
    }
}
