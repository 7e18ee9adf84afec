import CBaseline
import Glibc

/// The process and the machine it runs on.
enum System {
    static let pageSize = sysconf(CInt(_SC_PAGESIZE))

    static var contextSwitches: UInt64 { bench_context_switches() }
    static var allocations: UInt64 { bench_allocations() }
    static var allocationsAreCounted: Bool { bench_allocations_counted() != 0 }
    static var now: UInt64 { bench_now() }

    /// The `index`-th CPU this process may use.
    static func cpu(_ index: Int32) -> Int32? {
        let cpu = bench_allowed_cpu(index)
        return cpu < 0 ? nil : cpu
    }

    /// Keeps the calling thread's CPU busy.
    static func work(rounds: UInt64) { bench_work(rounds) }

    /// Puts the calling thread to sleep.
    static func sleep(nanoseconds: UInt64) {
        var time = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        unsafe nanosleep(&time, nil)
    }

    /// Pins the calling thread; a negative number leaves it where it is.
    static func pinThread(to cpu: Int32) { _ = bench_pin(cpu) }

    static func describe(_ errorNumber: CInt) -> String {
        guard let text = unsafe strerror(errorNumber) else { return "error \(errorNumber)" }
        return unsafe String(cString: text)
    }

    static func write(_ text: String, to stream: Stream) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.write(stream == .output ? 1 : 2, bytes.baseAddress, bytes.count)
            }
            if written < 0 && errno == EINTR { continue }
            if written <= 0 { return }
            rest = rest.dropFirst(written)
        }
    }

    enum Stream { case output, error }

    static var errorIsTerminal: Bool { isatty(2) != 0 }

    /// The contents of a small text file such as those of /proc.
    static func text(of path: String) -> String? {
        guard let file = unsafe fopen(path, "r") else { return nil }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func save(_ text: String, to path: String) throws(RunError) {
        guard let file = unsafe fopen(path, "w") else {
            throw .failed("'\(path)' cannot be written: \(describe(errno)).")
        }
        let written = unsafe fputs(text, file)
        let closed = unsafe fclose(file)
        if written < 0 || closed != 0 {
            throw .failed("'\(path)' could not be written in full: \(describe(errno)).")
        }
    }

    /// Whether there is a regular file of at least 100 MB.
    static func isLargeFile(_ path: String) -> Bool {
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
        return status.st_size >= 100_000_000
    }

    static var processID: Int32 { getpid() }

    /// A directory with room for `byteCount` bytes: in memory where there is one.
    static func directory(for byteCount: Int) throws(RunError) -> String {
        for path in ["/dev/shm", "/tmp", "."] {
            var status = statvfs()
            guard unsafe statvfs(path, &status) == 0, unsafe access(path, W_OK) == 0 else { continue }
            if Int(status.f_bavail) * Int(status.f_frsize) > byteCount { return path }
        }
        throw .failed("There is no directory with room for \(byteCount) bytes: give fewer --pages.")
    }

    static func remove(_ path: String) { _ = unsafe unlink(path) }

    /// The kernel's release.
    static var kernelRelease: String {
        (text(of: "/proc/sys/kernel/osrelease") ?? "unknown").trimmed
    }
}

extension String {
    /// Without white space at either end.
    var trimmed: String {
        var view = self[...]
        while view.first?.isWhitespace == true { view.removeFirst() }
        while view.last?.isWhitespace == true { view.removeLast() }
        return String(view)
    }
}
