internal import Glibc
package import Userfault

extension Mapping {
    /// Copies memory of this process to the byte `offset` through the kernel (process_vm_readv(2)): as much of it as can be
    /// read, which may be nothing.
    package func read(_ source: AddressRange, to offset: Int) throws(SystemFailure) -> Int {
        precondition(offset >= 0 && source.byteCount <= byteCount - offset)
        let answer = unsafe ProcessMemory.copy(source, to: basePointer + offset)
        guard answer < 0, -answer != EFAULT, -answer != EIO else { return max(answer, 0) }
        throw SystemFailure(call: "process_vm_readv", errno: CInt(-answer))
    }

    /// Copies `bytes` to the byte `offset`.
    package func write(_ bytes: RawSpan, at offset: Int) {
        precondition(offset >= 0 && bytes.byteCount <= byteCount - offset)
        unsafe bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            unsafe (basePointer + offset).copyMemory(from: base, byteCount: source.count)
        }
    }

    /// As ``withBytes(_:_:)``, for a body that suspends.
    package func withBytes<R: Sendable>(
        _ range: Range<Int>, _ body: (RawSpan) async throws -> R
    ) async throws -> R {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        let base = unsafe UnsafeRawPointer(basePointer + range.lowerBound)
        return try await body(unsafe RawSpan(_unsafeStart: base, byteCount: range.count))
    }
}

extension RawSpan {
    /// Whether all bytes are zero.
    package var isZero: Bool {
        unsafe withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return true }
            // Equal to itself, one byte on, and zero in the beginning.
            return unsafe bytes[0] == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
        }
    }
}
