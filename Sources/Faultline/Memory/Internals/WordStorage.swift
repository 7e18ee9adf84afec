internal import Glibc

/// Zeroed words that cost no memory until they are written, for the bitmaps of large regions.
///
/// A copy shares them. The address is beside the owner, which thus need not be looked at to get to a word.
@safe
package struct WordStorage {
    private let words: UnsafeMutablePointer<UInt64>
    package let count: Int
    private let owner: Owner

    @safe private final class Owner {
        private let words: UnsafeMutablePointer<UInt64>

        init(_ words: UnsafeMutablePointer<UInt64>) { unsafe self.words = words }

        deinit { unsafe free(words) }
    }

    package init(count: Int) {
        self.count = max(count, 1)
        // calloc takes large blocks straight from the kernel, already zero and untouched.
        guard let base = unsafe calloc(self.count, MemoryLayout<UInt64>.size) else {
            preconditionFailure("Faultline: no memory for a bitmap of \(count) words")
        }
        unsafe words = base.bindMemory(to: UInt64.self, capacity: self.count)
        owner = unsafe Owner(words)
    }

    package subscript(index: Int) -> UInt64 {
        get {
            precondition(index >= 0 && index < count)
            return unsafe words[index]
        }
        nonmutating set {
            precondition(index >= 0 && index < count)
            unsafe words[index] = newValue
        }
    }
}
