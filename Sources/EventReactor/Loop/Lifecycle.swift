/// Where a reactor stands, as other threads see it. A plain value; ``Reactor`` keeps it under a lock and does what
/// the returned actions say outside of it.
struct Lifecycle: Sendable {
    enum State {
        case running
        case stopping
        case shutDown
    }

    enum StopAction {
        /// Tell the loop to close.
        case tellLoop
        /// Nobody drives this hosted reactor: close it on this thread.
        case closeHere
        /// Somebody else has done so already.
        case wait
        /// Nothing left to wait for.
        case done
    }

    private(set) var state = State.running
    /// A hosted reactor is inside `run()` or `turn(waiting:)`, or being closed.
    private(set) var isDriven = false
    private var waiters: [Parked<Void>] = []
    /// The reactor's own thread, until somebody joins it.
    private var thread: UInt?

    mutating func requestStop(isHosted: Bool) -> StopAction {
        switch state {
        case .shutDown: return .done
        case .stopping: return .wait
        case .running:
            state = .stopping
            guard isHosted, !isDriven else { return .tellLoop }
            isDriven = true
            return .closeHere
        }
    }

    /// Remembers a waiter; false if the end has come already.
    mutating func addWaiter(_ waiter: Parked<Void>) -> Bool {
        guard state != .shutDown else { return false }
        waiters.append(waiter)
        return true
    }

    mutating func finish() -> [Parked<Void>] {
        state = .shutDown
        defer { waiters = [] }
        return waiters
    }

    mutating func setThread(_ thread: UInt) {
        self.thread = thread
    }

    /// The thread to join, for the one caller that gets it.
    mutating func takeThread() -> UInt? {
        defer { thread = nil }
        return thread
    }

    mutating func beginDriving() throws(ReactorError) {
        guard state == .running else { throw .shutDown }
        guard !isDriven else { throw ReactorError(.alreadyDriven) }
        isDriven = true
    }

    /// Ends a turn of the host.
    ///
    /// - Returns: whether a stop was asked for meanwhile; the caller then goes on driving and closes the loop.
    mutating func endDriving() -> Bool {
        guard state == .running else { return true }
        isDriven = false
        return false
    }
}
