import Synchronization

/// Several reactors, each with a thread of its own, that share work between them: one for each processor by default.
///
/// What belongs to one reactor stays there: its descriptors, timers and tasks. A group spreads work by choosing a reactor
/// for each new piece of it, with ``next()`` in turn, with ``free()`` where one is asleep, or with ``nearest()`` on the
/// processor of the caller.
///
/// ```swift
/// let group = try ReactorGroup.start()
/// let connection = try await group.next().connect(to: address)
/// ```
///
/// Its calls may be made on any thread. Shut it down with ``shutdown()``. Letting go of the last reference to a group and its
/// reactors stops their threads too, but nobody can wait for that.
public final class ReactorGroup: Sendable {
    /// The reactors, in a fixed order; at least one.
    public let reactors: [Reactor]
    /// The processor each of them is pinned to, in the same order; nil where it may run anywhere.
    public let processors: [Int?]
    private let turn = Atomic(0)

    private init(reactors: [Reactor], processors: [Int?]) {
        self.reactors = reactors
        self.processors = processors
    }

    /// Starts the reactors: for each an eventfd, a timerfd, an epoll instance and a thread (`pthread_create(3)`). Any
    /// thread; does not block.
    ///
    /// - Parameter configuration: how many, how each is set up, and where they run.
    /// - Throws: ``ReactorError`` when the limit on descriptors or threads is reached, a processor does not exist or is not
    ///   allowed (`EINVAL`), or there is to be none; those that were started already are let go.
    public static func start(_ configuration: Configuration = .init()) throws(ReactorError) -> ReactorGroup {
        let allowed = SystemCall.allowedProcessors
        let processors = try configuration.processors(allowed: allowed)
        var reactors: [Reactor] = []
        for (index, processor) in processors.enumerated() {
            var own = configuration.reactor
            own.name += "-\(index)"
            if let processor { own.processor = processor }
            reactors.append(try Reactor.start(own))
        }
        return ReactorGroup(
            reactors: reactors, processors: processors.map { $0 ?? configuration.reactor.processor })
    }

    /// How many reactors there are.
    public var count: Int { reactors.count }

    /// The next reactor in turn. One that is shut down is passed over, unless all are. Any thread; does not block or allocate.
    public func next() -> Reactor {
        let start = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return choose(from: start) { $0.isRunning } ?? reactors[place(start)]
    }

    /// A reactor that has nothing to do at this moment; where all are busy, or looking for work
    /// (``WaitingStrategy/spinning(upTo:)``), the next one in turn. A moment later it may be different. Any thread; does not
    /// block or allocate.
    public func free() -> Reactor {
        let start = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return choose(from: start) { $0.isRunning && $0.loop.inbox.isAsleep } ?? choose(
            from: start, where: \.isRunning) ?? reactors[place(start)]
    }

    /// The reactor that is pinned to the processor on which the caller runs; where there is none, the next one in turn. On
    /// one processor, waking a thread costs a fraction of what it costs across two. Any thread; does not block or allocate
    /// (`sched_getcpu(3)`).
    public func nearest() -> Reactor {
        reactor(onProcessor: SystemCall.currentProcessor) ?? next()
    }

    /// The reactor that is pinned to a processor, if there is one and it is not shut down. Any thread; does not block or
    /// allocate.
    ///
    /// - Parameter processor: its number, as the kernel counts.
    public func reactor(onProcessor processor: Int) -> Reactor? {
        for (index, own) in processors.enumerated() where own == processor && reactors[index].isRunning {
            return reactors[index]
        }
        return nil
    }

    /// The reactor of this group on whose loop thread the caller runs. Any thread; does not block or allocate.
    public var current: Reactor? { reactors.first { $0.isOnLoop } }

    /// Whether the caller runs on the loop thread of one of the reactors. Any thread; does not block or allocate.
    public var isOnLoop: Bool {
        for reactor in reactors where reactor.isOnLoop { return true }
        return false
    }

    /// The counters of each reactor, in the order of ``reactors``. Any thread; goes to each loop thread and back.
    public func statistics() async -> [TurnStatistics] {
        var all: [TurnStatistics] = []
        for reactor in reactors { all.append(await reactor.statistics()) }
        return all
    }

    /// Shuts all of them down, at the same time, and returns when they are: see ``Reactor/shutdown()``. Any thread, any
    /// task, also one that runs on one of the loops; may be called again and from several tasks, all of which wait for the end.
    public func shutdown() async {
        for reactor in reactors { reactor.beginShutdown() }
        for reactor in reactors { await reactor.shutdown() }
    }

    private func place(_ turn: Int) -> Int { Int(UInt(bitPattern: turn) % UInt(reactors.count)) }

    private func choose(from start: Int, where condition: (Reactor) -> Bool) -> Reactor? {
        for offset in 0..<reactors.count {
            let reactor = reactors[place(start &+ offset)]
            if condition(reactor) { return reactor }
        }
        return nil
    }
}
