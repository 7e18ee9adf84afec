import EventReactor

// While the reactor looks for work before it blocks, the descriptor is read at once: asking the kernel's queue whether it
// is ready first costs another system call, and the way through libevent, in each round and for each fault.
extension PagerCore: SpinSource {
    func poll() -> Bool {
        guard lifecycle == .serving, !isShort else { return false }
        let (reads, messages) = (statistics.reads, statistics.messages)
        descriptorReady(.readable)
        guard statistics.messages == messages else { return true }
        // Looks that find nothing are the reactor's spins.
        statistics.reads = reads
        return false
    }
}
