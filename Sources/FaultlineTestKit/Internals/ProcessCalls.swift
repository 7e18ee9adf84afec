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

    static func makeFile(_ bytes: [UInt8], in directory: String) -> String {
        var path = Array("\(directory)/faultline-test-XXXXXX\0".utf8.map(CChar.init(bitPattern:)))
        let descriptor = unsafe mkstemp(&path)
        precondition(descriptor >= 0, "mkstemp failed with \(errno)")
        defer { close(descriptor) }
        precondition(
            unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count, "write failed with \(errno)")
        return String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    static func remove(_ path: String) { _ = unsafe unlink(path) }

    static func fileBytes(_ path: String) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        precondition(descriptor >= 0, "open failed with \(errno)")
        defer { close(descriptor) }
        var status = stat()
        precondition(unsafe fstat(descriptor, &status) == 0)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe pread(
                    descriptor, buffer.baseAddress.map { unsafe $0 + done }, buffer.count - done, done)
            }
            precondition(count > 0, "pread failed with \(errno)")
            done += count
        }
        return bytes
    }

    /// The bytes of disk that a file takes.
    static func diskBytes(_ path: String) -> Int {
        var status = stat()
        precondition(unsafe stat(path, &status) == 0, "stat failed with \(errno)")
        return Int(status.st_blocks) * 512
    }

    static func truncateFile(_ path: String) {
        precondition(unsafe truncate(path, 0) == 0, "truncate failed with \(errno)")
    }

    static func dropFromCache(_ path: String) -> Bool {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return fsync(descriptor) == 0 && posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0
    }

    static func mountMemory(_ byteCount: Int) -> String? {
        var path = Array("/tmp/faultline-test-XXXXXX\0".utf8.map(CChar.init(bitPattern:)))
        guard unsafe mkdtemp(&path) != nil else { return nil }
        let text = String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        let isMounted = unsafe "size=\(byteCount)".withCString { options in
            unsafe mount("faultline-test", text, "tmpfs", 0, options) == 0
        }
        if !isMounted { _ = unsafe rmdir(text) }
        return isMounted ? text : nil
    }

    static func unmount(_ path: String) {
        // MNT_DETACH: at once, whoever still has a file open.
        _ = unsafe umount2(path, 2)
        _ = unsafe rmdir(path)
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
