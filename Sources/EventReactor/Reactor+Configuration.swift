extension Reactor {
    /// How a reactor is set up. The defaults suit most programs.
    public struct Configuration: Sendable {
        /// The name of the thread and in reports. The thread shows its first 15 bytes.
        public var name = "reactor"
        /// How many jobs (pieces of tasks) run in one turn before descriptors are looked at again.
        public var jobsPerTurn = 1024
        /// How many timers fire in one turn before the rest has its go.
        public var timersPerTurn = 256
        /// An activity of the loop that lasts longer is reported to ``onStall``. `nil`: no detector, no cost.
        public var stallThreshold: Duration?
        /// Receives stalls, on the detector's own thread, while they last and again when they end.
        public var onStall: (@Sendable (StallReport) -> Void)?
        /// Receives a record of each turn, on the loop thread. `nil`: no cost.
        public var turnObserver: (any TurnObserver)?
        /// Whether the time spent waiting is measured (two clock readings a turn).
        public var measuresWaiting = false

        /// How the reactor waits when nothing is left to do. A reactor in a host's `event_base` pays no heed to it:
        /// the host does the waiting.
        public var waiting = WaitingStrategy.blocking

        /// The processor that the reactor's own thread is pinned to, as the kernel counts; `nil` for any. Only for
        /// ``Reactor/start(_:)``; other reactors run where their host's thread does.
        public var processor: Int?

        /// The defaults.
        public init() {}

        /// The defaults, with a name.
        public init(name: String) {
            self.name = name
        }
    }
}
