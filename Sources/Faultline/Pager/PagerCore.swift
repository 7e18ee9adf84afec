import EventReactor
import Userfault

/// The pager's state and its road from message to wake. Touched on the loop's thread only.
///
/// The topics are in files of their own: reading messages (`+Reading`), admitting faults (`+Admit`), asking the handler
/// (`+Resolve`), its answers (`+Answer`, `+Enqueue`, `+Zeroes`), committing and waking (`+Scheduling`, `+Commit`, `+Settle`), failures
/// (`+Failure`), regions coming and going (`+Regions`), changes of the address space (`+Events`, `+Unmap`, `+Remap`, `+Growth`,
/// `+Fork`), the end (`+Shutdown`).
final class PagerCore {
    /// What travels with each piece through the scheduler.
    struct Tag {
        let region: RegionState
        /// Keeps the bytes to copy alive.
        let owner: Resolution.Owner
        /// How often the handler has failed on these pages.
        let failures: Int
        /// The pages of the request that threads were seen waiting for.
        let demand: Range<Int>
        /// The pages are poisoned because of this error.
        let giveUp: Bool
    }

    enum Lifecycle {
        case serving
        /// Reads nothing more, and waits for what is in flight until the deadline.
        case draining
        case closed
    }

    // First, and close together, what every fault looks at: there may be a thousand pagers.
    /// Gone, and closed, once the pager is.
    var kernel: (any FaultKernel)?
    var lifecycle = Lifecycle.serving
    /// Faults that were read are being admitted, in ascending order.
    var isReading = false
    /// Whether the answers to the faults being read wake their threads themselves.
    var wakesAtOnce = true
    var isCommitScheduled = false
    var isReadScheduled = false
    /// A fork message finds no free descriptor, and stays in the kernel.
    var isShort = false
    var sortPace = SortPace()
    /// The changes of the address space that the kernel tells of.
    let events: Features
    let arrivals: ReadBuffers
    var batch: EventReader { arrivals.batch }
    let hot = Confined(Hot())
    /// The entry that was found last.
    var lastRegion: RegionState?
    var lastPiece = AddressRange(start: 0, byteCount: 0)
    /// The registered ranges of this process's memory.
    let registered: RegisteredRanges
    /// What prefetches yield to.
    let faultCounter: FaultCounter
    /// The addresses that are served; a region of which a part has gone has several ranges.
    var regions = RangeIndex<RegionState>()

    let reactor: Reactor
    let configuration: Pager.Configuration
    let link: PagerLink
    /// Those of the memory that this pager serves: the same, unless it belongs to another process.
    let served: RegisteredRanges
    let isForeign: Bool
    /// The process whose memory it is, where it is known, and the task that waits for the end of its socket.
    var process: ProcessHandle?
    var channelWatch: Task<Void, Never>?
    /// Found out while sealing: there is no memory left to be sealed.
    var memoryIsGone = false
    /// The same, where faults are resolved in-thread.
    var inThread: InThreadKernel?
    var source: DescriptorSource?
    /// What `Pager.map` and the like have given out, by number, as long as something is left of it.
    var families: [UInt64: RegionFamily] = [:]
    var lastFamily: UInt64 = 0
    /// What has gone and will be told of later.
    var debts = RangeDebts<Departure>()
    /// Pages outside of the regions that somebody waits for, until it is known why.
    var strayPages: [AddressRange] = []
    var strayBackoff = Backoff(first: .microseconds(20), limit: .milliseconds(1))
    var strayTimer: TimerID?
    var readBackoff = Backoff(first: .milliseconds(1), limit: .milliseconds(64))
    var readTimer: TimerID?
    /// The pagers of forked children that are being served.
    var children: [Pager] = []
    /// For the pager of a forked child, whose end nobody tells.
    var liveness: Liveness?
    var onClosed: (() -> Void)?
    static let idleRunnerLimit = 64
    /// Pieces the kernel told to come back later.
    var parked: [Scheduler<Tag>.Piece] = []
    var parkedTimer: TimerID?
    var retryTimers: [TimerID: RequestTicket] = [:]
    /// Answers that are held back are carried out when it fires.
    var gatherTimer: TimerID?
    var isCommitting = false
    /// The pager is being made, and its first regions are taken in. Messages that are there already are about them: they are
    /// read afterwards.
    var isPreparing = false
    var prefetches: [Int: Prefetch] = [:]
    /// Some go on at the end of the turn.
    var hasHeldPrefetches = false
    var lastPrefetch = 0
    var suspects = SuspectPages()
    /// Made when the first region fills huge pages.
    lazy var hugePageProbe = HugePageProbe()
    var budgets: [ObjectIdentifier: BudgetState] = [:]
    /// The threads that take pages to their stores, once there are any.
    var writers: WorkerPool?
    /// What times and reports its handlers, if that is asked for.
    let latency: LatencyRecorder?
    private let handlerWatch: HandlerWatch?
    var deadlineTimer: TimerID?
    var stopError: PagerError?
    var closeWaiters: [CheckedContinuation<Void, Never>] = []

    init(
        reactor: Reactor, kernel: any FaultKernel, configuration: Pager.Configuration, link: PagerLink,
        isForeign: Bool
    ) throws(ReactorError) {
        self.reactor = reactor
        // Threads that resolve their own faults ask no handler, and the loop hardly ever.
        let isWatched = configuration.resolution == .reactor
        latency = isWatched && configuration.measuresLatency ? LatencyRecorder(reactor) : nil
        handlerWatch =
            isWatched && (latency != nil || configuration.observer != nil)
            ? HandlerWatch(latency, configuration.observer) : nil
        self.kernel = if let latency { TimedKernel(kernel, latency) } else { kernel }
        inThread = kernel as? InThreadKernel
        self.configuration = configuration
        self.link = link
        events = kernel.features.intersection(.events)
        registered = reactor.attachment { RegisteredRanges() }
        faultCounter = reactor.attachment { FaultCounter() }
        served = isForeign ? RegisteredRanges() : registered
        self.isForeign = isForeign
        let capacity = configuration.messagesPerRead
        arrivals =
            events.isEmpty
            ? reactor.attachment { SharedReadBuffers() }.buffers(capacity: capacity)
            : ReadBuffers(capacity: capacity)
        source = try reactor.addDescriptor(
            kernel.fileDescriptor, name: configuration.name, interest: .readable, trigger: .edge,
            handler: self)
        reactor.addSpinSource(self, name: configuration.name)
    }

    /// `handler` as it is asked: with what times and reports it, if that is asked for.
    func watched(_ handler: any FaultHandler) -> any FaultHandler {
        guard let handlerWatch else { return handler }
        return WatchedHandler(base: handler, watch: handlerWatch)
    }

    /// The region that contains an address. Neighbouring faults ask for the same one again and again.
    func region(at address: UInt) -> RegionState? {
        if let lastRegion, lastPiece.contains(address) { return lastRegion }
        return findRegion(at: address)
    }

    // Apart, and so is what else happens seldom on a fault's way: its exclusivity checks would be made each time.
    @inline(never)
    private func findRegion(at address: UInt) -> RegionState? {
        guard let entry = regions.entry(at: address) else { return nil }
        (lastPiece, lastRegion) = entry
        return lastRegion
    }
}
