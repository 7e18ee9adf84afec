import CBaseline
import Faultline
import Userfault

/// Memory that holds what a region must show. Unmapped at the end.
///
/// Never changed after it is made, hence safe to share.
final class Contents: Sendable {
    /// Address of the first byte.
    let address: UInt
    /// Bytes that exist: of a file, its exact size. What follows in the last page reads as zero.
    let exactByteCount: Int
    /// The file it came from.
    let path: String?

    /// `exactByteCount` in whole pages.
    var byteCount: Int { (exactByteCount + System.pageSize - 1) / System.pageSize * System.pageSize }
    var pageCount: Int { byteCount / System.pageSize }

    /// A buffer in which every word is different.
    init(pages: Int, seed: UInt64) throws(RunError) {
        exactByteCount = pages * System.pageSize
        path = nil
        address = bench_source_make(exactByteCount, seed)
        if address == 0 { throw .failed("There is no memory for \(pages) pages of contents.") }
    }

    /// A file, mapped and read in.
    init(file: String) throws(RunError) {
        var count = 0
        address = unsafe bench_file_map(file, &count)
        exactByteCount = count
        path = file
        if address == 0 {
            throw .failed("'\(file)' cannot be mapped: it must be a readable file that is not empty.")
        }
    }

    /// Copies the bytes to the beginning of `span`.
    func copy(to span: inout MutableRawSpan) {
        unsafe span.withUnsafeMutableBytes { bytes in
            guard let target = bytes.baseAddress,
                let source = unsafe UnsafeRawPointer(bitPattern: address)
            else {
                return
            }
            unsafe target.copyMemory(from: source, byteCount: min(exactByteCount, bytes.count))
        }
    }

    /// A copy that belongs to the library, which reads no others itself.
    func makePageSource() throws -> PageSource {
        try PageSource(byteCount: byteCount) { span in
            unsafe span.withUnsafeMutableBytes { bytes, count in
                guard let target = bytes.baseAddress,
                    let source = unsafe UnsafeRawPointer(bitPattern: address)
                else { return }
                unsafe target.copyMemory(from: source, byteCount: exactByteCount)
                count = exactByteCount
            }
        }
    }

    deinit { bench_unmap(address, exactByteCount) }

    /// Compares every byte of the first `pages` pages with memory at `base`.
    func requireEqual(at base: UInt, pages: Int, variant: String) throws(RunError) {
        try requireEqualMemory(address, base, byteCount: pages * System.pageSize, variant)
    }

    /// Compares every byte of the first pages with memory at these addresses, a page each.
    func requireEqual(at addresses: some Collection<UInt>, variant: String) throws(RunError) {
        for (number, place) in addresses.enumerated() {
            do throws(RunError) {
                try requireEqualMemory(
                    address + UInt(number * System.pageSize), place, byteCount: System.pageSize, variant)
            } catch {
                throw .mismatch("\(error) It is that of page \(number).")
            }
        }
    }
}

/// A buffer that begins like `Contents` of the same seed, and is changed by its one owner.
struct ChangingContents: ~Copyable {
    let address: UInt
    private let byteCount: Int

    init(pages: Int, seed: UInt64) throws(RunError) {
        byteCount = pages * System.pageSize
        address = bench_source_make(byteCount, seed)
        if address == 0 { throw .failed("There is no memory for \(pages) pages of contents.") }
    }

    deinit { bench_unmap(address, byteCount) }

    /// Compares every byte with memory at `base`.
    borrowing func requireEqual(at base: UInt, variant: String) throws(RunError) {
        try requireEqualMemory(address, base, byteCount: byteCount, variant)
    }
}

private func requireEqualMemory(
    _ expected: UInt, _ base: UInt, byteCount: Int, _ variant: String
) throws(RunError) {
    let equal = bench_equal_prefix(base, expected, byteCount)
    guard equal < byteCount else { return }
    throw .mismatch(
        "Wrong contents from \(variant): byte \(equal % System.pageSize) of page \(equal / System.pageSize).")
}

extension Contents {
    /// The same memory as a source for Faultline to copy from. The contents must outlive every region they serve.
    var pageSource: PageSource {
        unsafe PageSource(unsafeMemoryAt: AddressRange(start: address, byteCount: byteCount))
    }
}
