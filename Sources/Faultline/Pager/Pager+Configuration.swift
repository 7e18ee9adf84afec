extension Pager {
    /// Choices for one pager.
    public struct Configuration: Sendable {
        /// A name for messages and reports.
        public var name: String
        /// When waiting threads are let go; ``WakePolicy/adaptive`` by default.
        public var wakePolicy: WakePolicy
        /// How long answers of handlers that suspend are held back while other requests are open, to be carried out together with
        /// theirs; zero by default: at the end of the turn. Neighbours share an ioctl, and all a wake. It pays where handlers answer
        /// many small pieces, each in a turn of its own; a thread may wait longer by as much.
        public var gatherDelay: Duration
        /// How many messages one read(2) takes at most; 64 by default, at least 1. Each takes 32 bytes of a buffer that is
        /// made once.
        public var messagesPerRead: Int
        /// How many times a turn reads before sockets and timers get theirs; 4 by default, at least 1.
        public var readsPerTurn: Int
        /// Whether requests tell the thread that waits (`UFFD_FEATURE_THREAD_ID`).
        public var reportsThreadIDs: Bool
        /// Who installs missing pages; ``ResolutionMode/reactor`` by default.
        public var resolution: ResolutionMode
        /// Who notices writes to protected pages; ``Pager/WriteProtection/messages`` by default.
        public var writeProtection: WriteProtection
        /// Told of every failure to supply pages. Runs on the reactor's thread: it must not block, nor touch a
        /// registered page, nor write to a pipe, file or terminal that a thread of the application may be writing a
        /// registered page to.
        public var onFailure: (@Sendable (FaultFailure) -> Void)?
        /// Which changes of the address space the pager is told about; none by default. A pager on a descriptor of the
        /// caller's making goes by the features of that.
        public var events: AddressSpaceEvents
        /// What becomes of the memory of forked children, with ``AddressSpaceEvents/fork``; ``ForkPolicy/close`` by default.
        public var forkPolicy: ForkPolicy
        /// Told of changes of the address space after they have been taken into account. Runs on the reactor's thread, with
        /// the same restrictions as ``onFailure``.
        public var onChange: (@Sendable (AddressSpaceChange) -> Void)?

        /// What becomes of threads that touch memory which is registered with the descriptor and in none of the regions;
        /// ``Pager/MemoryOutside/followRegions`` by default.
        public var memoryOutside: MemoryOutside

        /// Whether the stages of a fault are timed, for ``Pager/latencies``; off by default. Costs four looks at the clock for a
        /// fault, some 100 ns. Faults that threads resolve themselves are not timed.
        public var measuresLatency: Bool
        /// Told of every request to a handler; nobody by default. Faults that threads resolve themselves are no requests.
        public var observer: (any PagerObserver)?

        /// A configuration with defaults. The parameters are the properties of the same names.
        public init(
            name: String = "pager", wakePolicy: WakePolicy = .adaptive, gatherDelay: Duration = .zero,
            messagesPerRead: Int = 64,
            readsPerTurn: Int = 4, reportsThreadIDs: Bool = false, resolution: ResolutionMode = .reactor,
            writeProtection: WriteProtection = .messages,
            onFailure: (@Sendable (FaultFailure) -> Void)? = nil, events: AddressSpaceEvents = [],
            forkPolicy: ForkPolicy = .close, onChange: (@Sendable (AddressSpaceChange) -> Void)? = nil,
            memoryOutside: MemoryOutside = .followRegions, measuresLatency: Bool = false,
            observer: (any PagerObserver)? = nil
        ) {
            self.name = name
            self.wakePolicy = wakePolicy
            self.gatherDelay = gatherDelay
            self.messagesPerRead = max(messagesPerRead, 1)
            self.readsPerTurn = max(readsPerTurn, 1)
            self.reportsThreadIDs = reportsThreadIDs
            self.resolution = resolution
            self.writeProtection = writeProtection
            self.onFailure = onFailure
            self.events = events
            self.forkPolicy = forkPolicy
            self.onChange = onChange
            self.memoryOutside = memoryOutside
            self.measuresLatency = measuresLatency
            self.observer = observer
        }
    }

    /// What memory is that is registered with a pager's descriptor and in none of its regions.
    ///
    /// There is such memory where a mapping has grown, downwards as well (`MAP_GROWSDOWN`), at the old addresses of one that
    /// was moved with `MREMAP_DONTUNMAP`, and where another process registers more than is adopted.
    public enum MemoryOutside: Hashable, Sendable {
        /// A part of the region that has grown, or has left it behind: its handler is asked. What belongs to no region is
        /// not the pager's: who touches it goes on waiting in vain, since nobody supplies it.
        case followRegions
        /// Fresh: it reads as zero (`UFFDIO_ZEROPAGE`), as memory does that nobody serves, and no region grows. Only
        /// memory with contents needs a region then.
        case zero
    }

    /// Who notices writes to protected pages. One choice for all regions of a pager, since it is one of its descriptor.
    public enum WriteProtection: Hashable, Sendable {
        /// The pager: a write sends a message, and its thread waits until the handler, a tracker or a snapshot lets it go.
        case messages
        /// The kernel, where it can (`UFFD_FEATURE_WP_ASYNC`, 6.7), else as `messages`: a write lifts the protection by itself.
        /// ``DirtyTracker`` finds out where; handlers are not asked about writes, and there are no snapshots.
        case asynchronousWherePossible
    }
}
