import CLibevent
import Glibc

/// Threads of our own.
enum LoopThread {
    /// What a new thread is handed.
    private final class Entry {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread with every signal blocked, except those that a thread brings upon itself and SIGPROF:
    /// signal handlers of the program interrupt its own threads, not the one that resolves their page faults.
    /// Signal events of libevent work all the same: its handler writes to a pipe, on whichever thread it runs.
    ///
    /// - Parameter processor: the one it is pinned to from its first instruction on; nil for any.
    /// - Returns: the thread, to be joined exactly once unless detached.
    static func start(
        name: String, detached: Bool = false, processor: Int? = nil, _ body: @escaping @Sendable () -> Void
    ) throws(ReactorError) -> UInt {
        var blocked = sigset_t()
        var former = sigset_t()
        unsafe sigfillset(&blocked)
        for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF] {
            unsafe sigdelset(&blocked, signal)
        }
        // The mask is inherited: setting it here leaves no moment in which the new thread could take a signal.
        unsafe pthread_sigmask(SIG_SETMASK, &blocked, &former)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &former, nil) }

        var attributes = pthread_attr_t()
        guard unsafe pthread_attr_init(&attributes) == 0 else {
            throw ReactorError(.system, "pthread_attr_init", systemError: ENOMEM)
        }
        defer { unsafe pthread_attr_destroy(&attributes) }
        if let processor { try pin(&attributes, to: processor) }
        let entry = unsafe Unmanaged.passRetained(Entry(name: name, body: body))
        var thread = pthread_t()
        let status = unsafe pthread_create(&thread, &attributes, enterLoopThread, entry.toOpaque())
        guard status == 0 else {
            unsafe entry.release()
            if processor != nil, status == EINVAL {
                throw ReactorError(.noSuchProcessor, "pthread_create", systemError: status)
            }
            throw ReactorError(.system, "pthread_create", systemError: status)
        }
        if detached { pthread_detach(thread) }
        return UInt(thread)
    }

    private static func pin(_ attributes: inout pthread_attr_t, to processor: Int) throws(ReactorError) {
        guard (0..<ProcessorSet.capacity).contains(processor) else {
            throw ReactorError(.noSuchProcessor, "pthread_create", systemError: EINVAL)
        }
        var set = ProcessorSet()
        set.insert(processor)
        let status = unsafe pthread_attr_setaffinity_np(
            &attributes, MemoryLayout<cpu_set_t>.size, &set.native)
        guard status == 0 else {
            throw ReactorError(.system, "pthread_attr_setaffinity_np", systemError: status)
        }
    }

    static func detach(_ thread: UInt) {
        _ = pthread_detach(pthread_t(thread))
    }

    static func join(_ thread: UInt) {
        _ = pthread_join(pthread_t(thread), nil)
    }

    fileprivate static func enter(_ context: UnsafeMutableRawPointer) {
        let entry = unsafe Unmanaged<Entry>.fromOpaque(context).takeRetainedValue()
        // The kernel keeps 15 bytes; a longer name would be refused.
        var name = entry.name.utf8.prefix(15).map { CChar(bitPattern: $0) }
        name.append(0)
        _ = unsafe pthread_setname_np(pthread_self(), name)
        entry.body()
    }
}

private func enterLoopThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context = unsafe context { unsafe LoopThread.enter(context) }
    return nil
}
