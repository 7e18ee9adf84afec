import CBaseline
import Glibc

/// Private anonymous memory that is registered with a userfaultfd. Unmapped at the end.
final class RegisteredMemory: Sendable {
    let address: UInt
    private let byteCount: Int

    init(descriptor: CInt, byteCount: Int) throws(RunError) {
        address = bench_uffd_map(descriptor, byteCount)
        self.byteCount = byteCount
        if address == 0 { throw .failed("A region could not be registered: \(System.describe(errno)).") }
    }

    deinit { bench_unmap(address, byteCount) }
}
