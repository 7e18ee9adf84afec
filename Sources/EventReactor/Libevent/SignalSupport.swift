import CLibevent
import Glibc

extension SystemCall {
    /// Whether a signal can be received: it exists, can be caught, and does not come from a mistake of the thread,
    /// which would be repeated as soon as the handler returns.
    static func canReceiveSignal(_ number: CInt) -> Bool {
        // 64 is the last one; 32 and 33 belong to the C library's threads.
        guard number > 0, number <= 64 else { return false }
        return ![SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 32, 33].contains(number)
    }
}

extension EventBase {
    /// What tells bases apart.
    var identity: UInt { unsafe UInt(bitPattern: pointer) }
}
