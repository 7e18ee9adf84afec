import Synchronization

/// Where other threads leave jobs for the loop, and how they wake it.
///
/// A wake-up is a system call, so it is made only if the loop sleeps and nobody else has woken it. Two flags are
/// written by one side and read by the other; all four accesses are sequentially consistent (Dekker), so at least
/// one side sees the other's write:
///
/// | loop, before it waits            | other thread                      |
/// |----------------------------------|-----------------------------------|
/// | `attention` = waiting            | append, `hasItems` = true         |
/// | `hasItems`? then do not wait     | `attention` waiting → notified? then write the eventfd |
final class Inbox: Sendable {
    /// What the loop is doing, as far as wakers care.
    enum Attention: UInt8, AtomicRepresentable {
        /// Will look into the inbox without being told.
        case running
        /// Sleeps or is about to.
        case waiting
        /// Has been woken, or is about to be.
        case notified
        /// Is gone; see ``Inbox/post(_:)``.
        case gone
    }

    private struct State {
        var items: [JobItem] = []
        /// The loop has ended: whoever posts must see to it that the jobs run.
        var isOrphaned = false
        /// A thread runs the jobs of an ended loop.
        var isBeingDrained = false
    }

    enum Posted {
        case queued
        /// The loop has ended and nobody runs its jobs: the caller must.
        case needsDrainer
    }

    private let state = Lock(State())
    private let hasItems = Atomic(false)
    private let attention: Atomic<Attention>
    /// Threads between their decision to write and the end of the write. The descriptor is not closed under them.
    private let writers = Atomic(0)
    private let wakeupCount = Atomic<UInt64>(0)
    let wakeDescriptor: CInt

    init(wakeDescriptor: CInt, attention: Attention) {
        self.wakeDescriptor = wakeDescriptor
        self.attention = Atomic(attention)
    }

    var wakeups: UInt64 { wakeupCount.load(ordering: .relaxed) }

    /// Whether the loop sleeps, or is about to: a hint. Any thread.
    var isAsleep: Bool { attention.load(ordering: .relaxed) == .waiting }

    /// Leaves an item and wakes the loop if it sleeps. Any thread.
    func post(_ item: JobItem) -> Posted {
        let posted: Posted = state.withLock { state in
            state.items.append(item)
            hasItems.store(true, ordering: .sequentiallyConsistent)
            guard state.isOrphaned, !state.isBeingDrained else { return .queued }
            state.isBeingDrained = true
            return .needsDrainer
        }
        wake()
        return posted
    }

    /// Wakes the loop if it sleeps. Any thread.
    func wake() {
        guard attention.load(ordering: .sequentiallyConsistent) == .waiting else { return }
        writers.add(1, ordering: .sequentiallyConsistent)
        let (isMine, _) = attention.compareExchange(
            expected: .waiting, desired: .notified, ordering: .sequentiallyConsistent)
        if isMine {
            wakeupCount.add(1, ordering: .relaxed)
            SystemCall.signal(wakeDescriptor)
        }
        writers.subtract(1, ordering: .releasing)
    }

    /// Announces that the loop is about to wait. Loop thread only.
    ///
    /// - Returns: whether it may; otherwise jobs have arrived.
    func prepareToWait() -> Bool {
        _ = attention.exchange(.waiting, ordering: .sequentiallyConsistent)
        guard hasItems.load(ordering: .sequentiallyConsistent) else { return true }
        attention.store(.running, ordering: .relaxed)
        return false
    }

    /// Announces that the loop is awake and will look into the inbox before it waits again. Loop thread only.
    func stopWaiting() {
        attention.store(.running, ordering: .relaxed)
    }

    /// For attached reactors, whose loop is always assumed to sleep: asks for a wake-up for the next item.
    func rearm() {
        _ = attention.exchange(.waiting, ordering: .sequentiallyConsistent)
    }

    /// Whether something may be there. Loop thread only.
    var mayHaveItems: Bool { hasItems.load(ordering: .acquiring) }

    /// Exchanges the items for an empty array, whose storage the inbox then uses. Loop thread only.
    func take(into items: inout [JobItem]) {
        guard mayHaveItems else { return }
        state.withLock { state in
            swap(&state.items, &items)
            hasItems.store(false, ordering: .relaxed)
        }
    }

    /// The loop ends: no more writes to the descriptor after this returns, which may then be closed.
    func closeWaker() {
        attention.store(.gone, ordering: .sequentiallyConsistent)
        while writers.load(ordering: .sequentiallyConsistent) > 0 {}
    }

    /// The loop ends. From here on posters find a drainer for their jobs.
    ///
    /// - Returns: false if jobs are left, which the caller is to run first.
    func orphan() -> Bool {
        state.withLock { state in
            guard state.items.isEmpty else { return false }
            state.isOrphaned = true
            state.isBeingDrained = false
            return true
        }
    }
}
