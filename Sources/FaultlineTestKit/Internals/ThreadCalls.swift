// The C calls of the test kit.

internal import Glibc
internal import Synchronization

/// A POSIX thread with a Swift closure.
enum ThreadCalls {
    private final class Entry {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        static func run(_ context: UnsafeMutableRawPointer?) {
            guard let context = unsafe context else { return }
            unsafe Unmanaged<Entry>.fromOpaque(context).takeRetainedValue().body()
        }
    }

    /// Starts a thread with a small stack, so that a thousand of them are cheap.
    static func start(_ body: @escaping @Sendable () -> Void) -> UInt {
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(Entry(body)).toOpaque()
        let status = unsafe withUnsafeTemporaryAllocation(of: pthread_attr_t.self, capacity: 1) { buffer in
            guard let attributes = buffer.baseAddress else { return ENOMEM }
            unsafe pthread_attr_init(attributes)
            defer { unsafe pthread_attr_destroy(attributes) }
            unsafe pthread_attr_setstacksize(attributes, 256 << 10)
            return unsafe pthread_create(&thread, attributes, { unsafe runEntry($0) }, context)
        }
        precondition(status == 0, "pthread_create failed with \(status)")
        return UInt(thread)
    }

    fileprivate static func run(_ context: UnsafeMutableRawPointer?) { unsafe Entry.run(context) }

    static func join(_ thread: UInt) { _ = pthread_join(pthread_t(thread), nil) }
    static func signal(_ thread: UInt, _ number: CInt) { _ = pthread_kill(pthread_t(thread), number) }
    static var currentID: Int32 { Int32(truncatingIfNeeded: syscallGetTID()) }
    static func giveWay() { _ = usleep(100) }

    private static func syscallGetTID() -> Int { Int(gettidFromProc()) }

    private static func gettidFromProc() -> Int32 {
        // "/proc/thread-self" names "PID/task/TID".
        var buffer = [CChar](repeating: 0, count: 64)
        let count = unsafe readlink("/proc/thread-self", &buffer, 63)
        guard count > 0 else { return 0 }
        let text = String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
        return Int32(text.split(separator: "/").last ?? "") ?? 0
    }

    static func readFile(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe read(descriptor, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    /// Copies bytes at `address` through the kernel (a write to a pipe): nil when it answers `EFAULT`.
    static func readThroughKernel(_ address: UInt, count: Int) -> [UInt8]? {
        var ends: [CInt] = [0, 0]
        precondition(unsafe pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let written = unsafe write(ends[1], UnsafeRawPointer(bitPattern: address), count)
        guard written > 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: written)
        let got = unsafe read(ends[0], &buffer, written)
        return got == written ? buffer : nil
    }

    /// Lets the kernel write `bytes` to `address` (a read from a pipe): false when it answers `EFAULT`.
    static func writeThroughKernel(_ address: UInt, _ bytes: [UInt8]) -> Bool {
        var ends: [CInt] = [0, 0]
        precondition(unsafe pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        precondition(unsafe write(ends[1], bytes, bytes.count) == bytes.count)
        return unsafe read(ends[0], UnsafeMutableRawPointer(bitPattern: address), bytes.count) == bytes.count
    }

    static func openUntilFull() -> [CInt] {
        var limit = rlimit()
        _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = 256
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        var descriptors: [CInt] = []
        while true {
            let descriptor = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
            if descriptor < 0 { return descriptors }
            descriptors.append(descriptor)
        }
    }

    static func closeAll(_ descriptors: [CInt]) { for descriptor in descriptors { close(descriptor) } }

    static func discard(_ address: UInt, _ byteCount: Int) -> Bool {
        unsafe madvise(UnsafeMutableRawPointer(bitPattern: address), byteCount, MADV_DONTNEED) == 0
    }

    static func lock(_ address: UInt, _ byteCount: Int) -> Bool {
        unsafe mlock(UnsafeRawPointer(bitPattern: address), byteCount) == 0
    }

    static func mapAnonymous(_ byteCount: Int) -> UInt {
        let base = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let base = unsafe base, unsafe base != UnsafeMutableRawPointer(bitPattern: -1) else {
            preconditionFailure("mmap failed with \(errno)")
        }
        return UInt(bitPattern: base)
    }

    static func unmap(_ address: UInt, _ byteCount: Int) {
        _ = unsafe munmap(UnsafeMutableRawPointer(bitPattern: address), byteCount)
    }

    static func byte(at address: UInt) -> UInt8 {
        guard let pointer = unsafe UnsafePointer<UInt8>(bitPattern: address) else { return 0 }
        return unsafe pointer.pointee
    }

    static func bytes(at address: UInt, count: Int) -> [UInt8] {
        unsafe [UInt8](UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: count))
    }

    static func restoreSignal(_ number: CInt) { _ = Glibc.signal(number, SIG_DFL) }

    static func ignoreSignal(_ number: CInt) {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        _ = unsafe sigaction(number, &action, nil)
    }
}

private func runEntry(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    unsafe ThreadCalls.run(context)
    return nil
}
