import Synchronization

/// What only the loop thread touches.
///
/// `@unchecked Sendable`: every way in compares the calling thread with the loop's before it touches a `var`; after
/// the loop has ended, one drainer at a time does, and the inbox's lock orders one after the other.
/// No method keeps an access to a `var` open while it calls out, so that the compiler drops the exclusivity checks.
final class LoopState: @unchecked Sendable {
    /// How the loop comes by its turns.
    enum Drive { case ownThread, hosted, attached }

    /// Where the loop stands in its life; the other half of ``Lifecycle``.
    enum Phase { case running, closing, closed }

    /// The loop's thread (`pthread_self`), or 0 while there is none.
    let loopThread = Atomic<UInt>(0)
    let lifecycle = Lock(Lifecycle())
    let drive: Drive
    let inbox: Inbox
    let configuration: Reactor.Configuration
    let timerDescriptor: CInt
    let stallDetector: StallDetector?
    let jobsPerTurn: Int
    let timersPerTurn: Int
    let hasTurnObserver: Bool
    /// Whether waits may look for work before they block; see ``WaitingStrategy``. The host waits for an attached reactor.
    let spins: Bool

    var base: EventBase
    var phase = Phase.running
    var executors: ExecutorReferences?
    /// An attached reactor keeps itself alive until it is detached: the host's base calls it.
    var attachedReactor: Reactor?

    let ring = Confined(JobRing())
    var arrivals: [JobItem] = []
    let endOfTurnWork = Confined<[any EndOfTurnWork]>([])
    let endOfTurnBeingRun = Confined<[any EndOfTurnWork]>([])
    let timers = Confined(TimerQueue())
    /// What the kernel timer is set to; `.max` if it is not.
    var armedDeadline = Int64.max
    /// The kernel timer expired, or timers were left for the next turn.
    var timersAreDue = false
    /// A wait has begun and nothing has come yet; the first callback takes it back, and what `inbox` was told with it.
    var isWaiting = false
    var spinBudget: SpinBudget
    var spinSources: [NamedSpinSource] = []
    var isInTurn = false
    var isRunningJobs = false
    /// The next job of a handler's task is not queued but kept, to be run at once; see ``Recall``.
    var capturesHandlerJob = false
    var capturedJob: JobItem?
    var isTurnRequested = false
    var isStopRequested = false
    var statistics = TurnStatistics()

    var wakeEvent: LibeventEvent?
    var timerEvent: LibeventEvent?
    var turnEvent: LibeventEvent?
    var sources: [CInt: DescriptorSource] = [:]
    var participants: [ObjectIdentifier: any ShutdownParticipant] = [:]
    /// Names of end-of-turn work, by type; used with a stall detector only.
    var endOfTurnActivities: [ObjectIdentifier: ActivityID] = [:]
    var attachments: [ObjectIdentifier: AnyObject] = [:]

    /// Opens what the loop needs; closes again what was open already if one of it fails.
    init(
        _ configuration: Reactor.Configuration, drive: Drive,
        base makeBase: () throws(ReactorError) -> EventBase
    ) throws(ReactorError) {
        let wakeDescriptor = try SystemCall.makeEventDescriptor()
        do throws(ReactorError) {
            timerDescriptor = try SystemCall.makeTimerDescriptor()
        } catch {
            SystemCall.closeDescriptor(wakeDescriptor)
            throw error
        }
        do throws(ReactorError) {
            base = try makeBase()
        } catch {
            SystemCall.closeDescriptor(wakeDescriptor)
            SystemCall.closeDescriptor(timerDescriptor)
            throw error
        }
        self.drive = drive
        self.configuration = configuration
        jobsPerTurn = max(1, configuration.jobsPerTurn)
        timersPerTurn = max(1, configuration.timersPerTurn)
        hasTurnObserver = configuration.turnObserver != nil
        spins = drive != .attached && configuration.waiting != .blocking
        spinBudget = SpinBudget(limit: configuration.waiting.spinLimit)
        inbox = Inbox(wakeDescriptor: wakeDescriptor, attention: drive == .attached ? .waiting : .running)
        stallDetector = StallDetector(configuration)
        do throws(ReactorError) {
            let wake = try LibeventEvent(base, .wake, wakeDescriptor, of: self)
            wakeEvent = wake
            try wake.add()
            let timer = try LibeventEvent(base, .timer, timerDescriptor, of: self)
            timerEvent = timer
            try timer.add()
            try stallDetector?.startWatching(name: configuration.name)
            if drive == .attached {
                turnEvent = try LibeventEvent(base, .turn, -1, of: self)
            }
        } catch {
            closeDescriptors()
            throw error
        }
    }

    deinit {
        // A hosted reactor that was let go without being shut down.
        if phase != .closed { closeDescriptors() }
    }

    /// Frees the libevent side and the descriptors. Nothing of ours is left in the host's base.
    func closeDescriptors() {
        for event in [wakeEvent, timerEvent, turnEvent] { event?.free() }
        wakeEvent = nil
        timerEvent = nil
        turnEvent = nil
        base.free()
        stallDetector?.stop()
        inbox.closeWaker()
        SystemCall.closeDescriptor(inbox.wakeDescriptor)
        SystemCall.closeDescriptor(timerDescriptor)
        phase = .closed
    }
}
