import CBaseline
import Glibc

/// A program under way. Ended at the latest when this goes.
///
/// `@unchecked Sendable`: only the one task that has started it uses it.
final class Program: @unchecked Sendable {
    /// What is told of it afterwards.
    struct End {
        /// Of its exit, or 128 and the number of the signal that ended it.
        var status: Int32
        /// Of all its threads.
        var contextSwitches: UInt64
        /// In user and kernel mode, nanoseconds.
        var cpuTime: UInt64
    }

    let name: String
    let processID: Int32
    private let errors: String
    private var hasEnded = false

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - path: of the program.
    ///   - arguments: those after its name.
    ///   - errors: a file that its standard error is appended to.
    ///   - input: a descriptor that becomes its standard input; nil for none.
    ///   - output: one that becomes its standard output.
    init(
        _ path: String, _ arguments: [String], errors: String, input: CInt? = nil, output: CInt? = nil
    ) throws(RunError) {
        name = path.split(separator: "/").last.map(String.init) ?? path
        self.errors = errors
        var words: [CChar] = []
        for word in [path] + arguments { words += word.utf8.map { CChar(bitPattern: $0) } + [0] }
        var error: CInt = 0
        processID = unsafe bench_program_start(words, words.count, input ?? -1, output ?? -1, errors, &error)
        if processID < 0 { throw .failed("'\(path)' could not be started: \(System.describe(error)).") }
    }

    deinit {
        if !hasEnded {
            signal(SIGKILL)
            var end = bench_program_end()
            _ = unsafe bench_program_wait(processID, &end)
        }
    }

    var hasExited: Bool { hasEnded || bench_program_has_exited(processID) != 0 }

    func signal(_ number: CInt) { bench_program_signal(processID, number) }

    /// Waits for its end.
    func end() throws(RunError) -> End {
        var end = bench_program_end()
        let error = unsafe bench_program_wait(processID, &end)
        guard error == 0 else { throw .failed("\(name) cannot be waited for: \(System.describe(error)).") }
        hasEnded = true
        return End(
            status: end.status, contextSwitches: end.context_switches, cpuTime: end.cpu_nanoseconds)
    }

    /// Waits for its end, which must be a good one.
    @discardableResult
    func endWell() throws(RunError) -> End {
        let end = try end()
        guard end.status == 0 else { throw .failed("\(name) ended with status \(end.status).\(complaint)") }
        return end
    }

    /// What it has said last, as the end of a sentence about it.
    var complaint: String {
        let lines = (System.text(of: errors) ?? "").split(separator: "\n").suffix(3)
        return lines.isEmpty ? "" : " It said: " + lines.joined(separator: " ")
    }
}

/// The programs of the examples, which are built beside this one.
struct ExamplePrograms {
    let folder: String

    /// - Parameter folder: where they are; nil for where this program is.
    init(folder: String?) { self.folder = folder ?? Self.own }

    /// The path of a program; nil if it is not there.
    func path(_ name: String) -> String? {
        let path = "\(folder)/\(name)"
        return unsafe access(path, X_OK) == 0 ? path : nil
    }

    /// The paths of programs, all of them.
    func paths(_ names: [String]) throws(RunError) -> [String] {
        var paths: [String] = []
        for name in names {
            guard let path = path(name) else { throw .failed(Self.advice(name, folder)) }
            paths.append(path)
        }
        return paths
    }

    static func advice(_ name: String, _ folder: String) -> String {
        """
        The example '\(name)' is not in \(folder): build it with 'swift build -c release --package-path Benchmarks', \
        or say where it is with --examples.
        """
    }

    private static var own: String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
        let path = String(
            decoding: buffer.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.split(separator: "/").dropLast().reduce(into: "") { $0 += "/" + $1 }
    }
}

/// A folder for what programs read and write, in memory where there is room. Removed at the end, with the files in it.
final class WorkFolder: Sendable {
    let path: String

    init(room byteCount: Int) throws(RunError) {
        let pattern = try System.directory(for: byteCount) + "/faultline-bench-XXXXXX"
        var bytes = pattern.utf8.map { CChar(bitPattern: $0) } + [0]
        let error = unsafe bench_make_directory(&bytes)
        if error != 0 { throw .failed("There is no folder to work in: \(System.describe(error)).") }
        path = String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        clear(prefix: "")
        _ = unsafe rmdir(path)
    }

    /// Removes the files whose names begin with `prefix`.
    func clear(prefix: String) {
        guard let folder = unsafe opendir(path) else { return }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(prefix), name != ".", name != ".." { names.append(name) }
        }
        unsafe closedir(folder)
        for name in names { System.remove("\(path)/\(name)") }
    }

    /// Gives a file a second name.
    func link(_ name: String, as other: String) throws(RunError) {
        if unsafe Glibc.link("\(path)/\(name)", "\(path)/\(other)") != 0 {
            throw .failed("'\(path)/\(name)' cannot be linked to: \(System.describe(errno)).")
        }
    }
}
