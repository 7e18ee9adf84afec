// The C calls behind `TestProcess`, `TemporaryFile` and `BytePipe`.

internal import Glibc

extension ThreadCalls {
    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    static func hasSymbol(_ name: String) -> Bool { unsafe dlsym(nil, name) != nil }

    static func becomeNobody() -> Bool {
        setgroups(0, nil) == 0 && setgid(65534) == 0 && setuid(65534) == 0
    }

    static func exitAtOnce(_ status: Int32) -> Never { _exit(status) }

    static func makeFile(_ bytes: [UInt8]) -> String {
        var path = Array("/tmp/faultline-test-XXXXXX\0".utf8.map(CChar.init(bitPattern:)))
        let descriptor = unsafe mkstemp(&path)
        precondition(descriptor >= 0, "mkstemp failed with \(errno)")
        defer { close(descriptor) }
        precondition(
            unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count, "write failed with \(errno)")
        return String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    static func remove(_ path: String) { _ = unsafe unlink(path) }

    static func truncateFile(_ path: String) {
        precondition(unsafe truncate(path, 0) == 0, "truncate failed with \(errno)")
    }

    static func makePipe() -> (read: CInt, write: CInt) {
        var ends: [CInt] = [0, 0]
        precondition(unsafe pipe(&ends) == 0, "pipe failed with \(errno)")
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        return (ends[0], ends[1])
    }

    static func writeByte(_ descriptor: CInt, _ byte: UInt8) {
        let bytes = [byte]
        precondition(unsafe Glibc.write(descriptor, bytes, 1) == 1, "write failed with \(errno)")
    }

    static func readByte(_ descriptor: CInt) -> UInt8? {
        var bytes: [UInt8] = [0]
        return unsafe read(descriptor, &bytes, 1) == 1 ? bytes[0] : nil
    }
}
