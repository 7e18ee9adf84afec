import CTestSupport
import Glibc
import Testing

/// A setting of the system that is changed while somebody needs it, in this process or another, and put back by the last one.
///
/// A lock file tells who is the first and who the last, and keeps the old value: where a process dies with a loan, the next one to
/// give back restores it.
final class Loan: Sendable {
    struct Setting: Sendable {
        var path: String
        var wanted: String
        /// Whether a number that is larger already will do.
        var isMinimum = false

        /// 1 GiB of 2 MiB pages, made when they are used and gone when they are not.
        static let hugePages = Setting(
            path: "/proc/sys/vm/nr_overcommit_hugepages", wanted: "512", isMinimum: true)

        var lockPath: String {
            "/tmp/userfault-conformance" + path.map { $0 == "/" ? "-" : String($0) }.joined()
        }
    }

    private struct Refused: Error, CustomStringConvertible {
        var description: String
    }

    private let setting: Setting
    private let users: CInt

    /// Why a setting cannot be changed, or nil.
    static func refusal(of setting: Setting) -> String? {
        unsafe access(setting.path, W_OK) == 0
            ? nil : "\(setting.path) cannot be written (errno \(errno)): needs root"
    }

    init(_ setting: Setting) throws {
        self.setting = setting
        let gate = try Loan.open(setting.lockPath + ".gate")
        defer { _ = ctest_close(gate) }
        _ = ctest_lock(gate, ctest_lock_exclusive)
        users = try Loan.open(setting.lockPath)
        if ctest_lock(users, ctest_lock_try_exclusive) == 0 {
            let now = readText(setting.path) ?? ""
            if readText(setting.lockPath) ?? "" == "" {
                _ = unsafe ctest_write_file(setting.lockPath, Loan.chosen(now))
            }
            let suffices = setting.isMinimum && (Int(Loan.chosen(now)) ?? 0) >= (Int(setting.wanted) ?? 0)
            let written = suffices ? 0 : unsafe ctest_write_file(setting.path, setting.wanted)
            if written < 0 {
                _ = unsafe ctest_write_file(setting.lockPath, "")
                _ = ctest_close(users)
                throw Refused(description: "cannot set \(setting.path): errno \(-written)")
            }
        }
        _ = ctest_lock(users, ctest_lock_shared)
    }

    deinit {
        let gate = try? Loan.open(setting.lockPath + ".gate")
        if let gate {
            _ = ctest_lock(gate, ctest_lock_exclusive)
            if ctest_lock(users, ctest_lock_try_exclusive) == 0 {
                _ = unsafe ctest_write_file(setting.path, readText(setting.lockPath) ?? "")
                _ = unsafe ctest_write_file(setting.lockPath, "")
            }
        }
        // Before the gate opens: who comes in next must not take us for a user.
        _ = ctest_close(users)
        if let gate { _ = ctest_close(gate) }
    }

    private static func open(_ path: String) throws -> CInt {
        let file = unsafe ctest_open_lock(path)
        guard file >= 0 else { throw Refused(description: "cannot open \(path): errno \(-file)") }
        return file
    }

    /// "12", and of "always [madvise] never" the choice.
    private static func chosen(_ text: String) -> String {
        guard let from = text.firstIndex(of: "["), let to = text.firstIndex(of: "]") else {
            return String(text.split(whereSeparator: \.isWhitespace).first ?? "")
        }
        return String(text[text.index(after: from)..<to])
    }
}

/// A file, or its beginning; nil where it cannot be read.
func readText(_ path: String, upTo limit: Int = 4096) -> String? {
    var buffer = [CChar](repeating: 0, count: limit)
    let count = unsafe ctest_read_file(path, &buffer, UInt64(buffer.count))
    guard count >= 0 else { return nil }
    return String(decoding: buffer.prefix(Int(count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// The flags of the mapping that an address is in.
func mappingFlags(_ address: UInt) -> [Substring] {
    var buffer = [CChar](repeating: 0, count: 256)
    let length = unsafe ctest_mapping_flags(UInt64(address), &buffer, CInt(buffer.count))
    let text = String(
        decoding: buffer.prefix(Int(max(length, 0))).map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.split(whereSeparator: \.isWhitespace)
}
