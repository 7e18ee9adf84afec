internal import Glibc

/// Zeroed words that cost no memory until they are written, for the bitmaps of large regions.
@safe
package final class WordStorage {
    private let words: UnsafeMutablePointer<UInt64>
    package let count: Int

    package init(count: Int) {
        self.count = max(count, 1)
        // calloc takes large blocks straight from the kernel, already zero and untouched.
        guard let base = unsafe calloc(self.count, MemoryLayout<UInt64>.size) else {
            preconditionFailure("Faultline: no memory for a bitmap of \(count) words")
        }
        unsafe words = base.bindMemory(to: UInt64.self, capacity: self.count)
    }

    deinit { unsafe free(words) }

    package subscript(index: Int) -> UInt64 {
        get {
            precondition(index >= 0 && index < count)
            return unsafe words[index]
        }
        set {
            precondition(index >= 0 && index < count)
            unsafe words[index] = newValue
        }
    }
}
