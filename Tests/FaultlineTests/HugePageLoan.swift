import CTestSupport
import Testing

/// Leave to use pages of 2 MiB, for as long as it is held: raises the system's limit where it is lower.
///
/// Several processes may hold one, and the last gives back what was there before. The lock files are those of the conformance
/// tests, which borrow the same setting.
final class HugePageLoan: Sendable {
    private static let setting = "/proc/sys/vm/nr_overcommit_hugepages"
    private static let lock = "/tmp/userfault-conformance-proc-sys-vm-nr_overcommit_hugepages"
    private static let wanted = 512

    private struct Refused: Error {}

    private let users: CInt

    init() throws {
        let gate = try Self.open(Self.lock + ".gate")
        defer { _ = ctest_close(gate) }
        _ = ctest_lock(gate, ctest_lock_exclusive)
        users = try Self.open(Self.lock)
        if ctest_lock(users, ctest_lock_try_exclusive) == 0 {
            let now = Self.read(Self.setting)
            if Self.read(Self.lock).isEmpty { _ = unsafe ctest_write_file(Self.lock, now) }
            if Int(now) ?? 0 < Self.wanted, unsafe ctest_write_file(Self.setting, "\(Self.wanted)") < 0 {
                _ = unsafe ctest_write_file(Self.lock, "")
                _ = ctest_close(users)
                throw Refused()
            }
        }
        _ = ctest_lock(users, ctest_lock_shared)
    }

    deinit {
        let gate = try? Self.open(Self.lock + ".gate")
        if let gate {
            _ = ctest_lock(gate, ctest_lock_exclusive)
            if ctest_lock(users, ctest_lock_try_exclusive) == 0 {
                _ = unsafe ctest_write_file(Self.setting, Self.read(Self.lock))
                _ = unsafe ctest_write_file(Self.lock, "")
            }
        }
        _ = ctest_close(users)
        if let gate { _ = ctest_close(gate) }
    }

    private static func open(_ path: String) throws -> CInt {
        let file = unsafe ctest_open_lock(path)
        guard file >= 0 else { throw Refused() }
        return file
    }

    private static func read(_ path: String) -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        let count = unsafe ctest_read_file(path, &buffer, UInt64(buffer.count))
        let text = String(
            decoding: buffer.prefix(max(Int(count), 0)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return String(text.split(whereSeparator: \.isWhitespace).first ?? "")
    }
}

extension Trait where Self == ConditionTrait {
    /// The test needs pages of 2 MiB; it is skipped where their limit cannot be raised.
    static var requiresHugePages: Self {
        (try? HugePageLoan()) == nil
            ? .disabled("needs root, to raise vm.nr_overcommit_hugepages") : .enabled(if: true)
    }
}
