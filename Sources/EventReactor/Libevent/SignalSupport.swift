import CLibevent
import Glibc

extension SystemCall {
    /// Whether a signal can be received: it exists, can be caught, and does not come from a mistake of the thread, which
    /// would be repeated as soon as the handler returns.
    static func canReceiveSignal(_ number: CInt) -> Bool {
        // NSIG of libevent, which is that of the C library: 65, real-time signals included.
        guard number > 0, number < 65 else { return false }
        return ![SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL].contains(number)
    }
}

extension EventBase {
    /// What tells bases apart.
    var identity: UInt { unsafe UInt(bitPattern: pointer) }
}
