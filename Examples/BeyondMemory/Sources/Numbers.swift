/// Sorts numbers in memory that may be slow to get to: in place, with two readers that go towards each other, and no memory
/// beside.
extension MutableRawSpan {
    private subscript(number index: Int) -> UInt64 {
        get { bytes.unsafeLoad(fromByteOffset: index * 8, as: UInt64.self) }
        set { storeBytes(of: newValue, toByteOffset: index * 8, as: UInt64.self) }
    }

    /// Quicksort: the smaller part first, so that little is still to do at any time.
    mutating func sortNumbers() {
        var waiting = [0..<byteCount / 8]
        while var part = waiting.popLast() {
            while part.count > 24 {
                let middle = partition(part)
                let (left, right) = (part.lowerBound..<middle, middle..<part.upperBound)
                waiting.append(left.count < right.count ? right : left)
                part = left.count < right.count ? left : right
            }
            insertionSort(part)
        }
    }

    /// Divides a part in two, none of them empty: nothing in the first is greater than anything in the second.
    private mutating func partition(_ part: Range<Int>) -> Int {
        let pivot = median(
            self[number: part.lowerBound], self[number: part.lowerBound + part.count / 2],
            self[number: part.upperBound - 1])
        var low = part.lowerBound - 1
        var high = part.upperBound
        while true {
            repeat { low += 1 } while self[number: low] < pivot
            repeat { high -= 1 } while self[number: high] > pivot
            // The pivot is the last number only if another one is not smaller, so that `high` has moved twice by now.
            guard low < high else { return high + 1 }
            let number = self[number: low]
            self[number: low] = self[number: high]
            self[number: high] = number
        }
    }

    private func median(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 { max(min(a, b), min(max(a, b), c)) }

    private mutating func insertionSort(_ part: Range<Int>) {
        for index in part.dropFirst() {
            let value = self[number: index]
            var place = index
            while place > part.lowerBound, self[number: place - 1] > value {
                self[number: place] = self[number: place - 1]
                place -= 1
            }
            self[number: place] = value
        }
    }
}
