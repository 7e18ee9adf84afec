import CLibevent
import Glibc

/// The system calls of the reactor, one line each. Failures are negative errno values.
enum SystemCall {
    static let tooManyDescriptors = EMFILE
    static let temporarilyUnavailable = EAGAIN
    static let outOfMemory = ENOMEM
    static let noSpace = ENOSPC
    static let badDescriptor = EBADF
    static let notPermitted = EPERM
    static var lastError: CInt { errno }

    static var currentThread: UInt { UInt(faultline_current_thread()) }
    static var currentThreadID: Int32 { gettid() }
    static var effectiveUser: UInt32 { geteuid() }

    /// CLOCK_MONOTONIC in nanoseconds.
    @inline(__always)
    static func monotonicNanoseconds() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// A descriptor that other threads write to in order to wake the loop.
    static func makeEventDescriptor() throws(ReactorError) -> CInt {
        let descriptor = eventfd(0, CInt(EFD_NONBLOCK | EFD_CLOEXEC))
        guard descriptor >= 0 else { throw ReactorError(.system, "eventfd", systemError: errno) }
        return descriptor
    }

    static func makeTimerDescriptor() throws(ReactorError) -> CInt {
        let descriptor = timerfd_create(
            CLOCK_MONOTONIC, CInt(TFD_NONBLOCK | TFD_CLOEXEC))
        guard descriptor >= 0 else { throw ReactorError(.system, "timerfd_create", systemError: errno) }
        return descriptor
    }

    /// Adds one to an eventfd. Cannot fail for a reader that never reads before 2^64 - 2 wake-ups.
    static func signal(_ descriptor: CInt) {
        var one: UInt64 = 1
        _ = unsafe write(descriptor, &one, 8)
    }

    /// Sets the timer to an absolute time, which may have passed. The expiry count is reset with it.
    static func arm(_ descriptor: CInt, at nanoseconds: Int64) {
        var setting = itimerspec()
        // Zero would disarm it.
        let time = max(nanoseconds, 1)
        setting.it_value.tv_sec = Int(time / 1_000_000_000)
        setting.it_value.tv_nsec = Int(time % 1_000_000_000)
        _ = unsafe timerfd_settime(descriptor, CInt(TFD_TIMER_ABSTIME), &setting, nil)
    }

    static func closeDescriptor(_ descriptor: CInt) {
        _ = close(descriptor)
    }

    /// Asks the kernel whether a descriptor can be waited for, before libevent does and complains on standard error.
    static func checkPollable(_ descriptor: CInt) throws(ReactorError) {
        let poller = epoll_create1(CInt(EPOLL_CLOEXEC))
        guard poller >= 0 else {
            // With no descriptor left to ask with, libevent finds out: a forked child's is served all the same.
            guard errno != EMFILE, errno != ENFILE else { return }
            throw ReactorError(.system, "epoll_create1", systemError: errno)
        }
        defer { _ = close(poller) }
        var event = unsafe epoll_event()
        guard unsafe epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) != 0 else { return }
        switch errno {
        case EBADF: throw ReactorError(.badDescriptor, "epoll_ctl", systemError: EBADF)
        case EPERM: throw ReactorError(.unsupportedDescriptor, "epoll_ctl", systemError: EPERM)
        case let other: throw ReactorError(.system, "epoll_ctl", systemError: other)
        }
    }
}

/// The text that the C library has for an errno value.
func describeSystemError(_ number: CInt) -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
        guard let start = buffer.baseAddress else { return "error \(number)" }
        unsafe start.pointee = 0
        // The POSIX form fills the buffer and returns a status.
        guard unsafe strerror_r(number, start, buffer.count) == 0 else { return "error \(number)" }
        return unsafe String(cString: start) + " (errno \(number))"
    }
}

extension SystemCall {
    /// The kernel function in which a thread of this process sleeps; `nil` if it does not, or the system does not tell.
    static func kernelFunction(ofThread thread: Int32) -> String? {
        let descriptor = unsafe open("/proc/self/task/\(thread)/wchan", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        let name = unsafe withUnsafeTemporaryAllocation(byteCount: 128, alignment: 1) { buffer in
            let count = unsafe read(descriptor, buffer.baseAddress, buffer.count)
            return unsafe String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
        }
        // "0" means: runs, or you may not know.
        return name.isEmpty || name == "0" ? nil : name
    }
}
