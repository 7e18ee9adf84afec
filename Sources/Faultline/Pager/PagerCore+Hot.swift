import Userfault

// What changes with every fault, out of the run time's checks for exclusive access.
extension PagerCore {
    struct Hot {
        var scheduler = Scheduler<Tag> { $0.region === $1.region && $0.giveUp == $1.giveUp }
        var wakes = WakeSet()
        var statistics = PagerStatistics()
        var open = TicketList()
        var idleRunners: [HandlerRunner] = []
        var backlog: [Fault] = []
        var answeredPrefetches: [Prefetch] = []
        var knownOutcome: (outcome: Outcome, isAwake: Bool)?
        var parkedBackoff = Backoff(first: .microseconds(20), limit: .milliseconds(1))
    }

    var scheduler: Scheduler<Tag> {
        _read { yield hot.value.scheduler }
        _modify { yield &hot.value.scheduler }
    }
    var wakes: WakeSet {
        _read { yield hot.value.wakes }
        _modify { yield &hot.value.wakes }
    }
    /// Requests whose answers are awaited.
    var open: TicketList {
        _read { yield hot.value.open }
        _modify { yield &hot.value.open }
    }

    /// Tasks that have run a handler and wait for the next request.
    var idleRunners: [HandlerRunner] {
        _read { yield hot.value.idleRunners }
        _modify { yield &hot.value.idleRunners }
    }

    /// Faults that were read when they could not be admitted.
    var backlog: [Fault] {
        _read { yield hot.value.backlog }
        _modify { yield &hot.value.backlog }
    }

    /// Prefetches whose answers have come and may have to be carried out yet.
    var answeredPrefetches: [Prefetch] {
        _read { yield hot.value.answeredPrefetches }
        _modify { yield &hot.value.answeredPrefetches }
    }

    /// The kernel's answer to the first operation of the next commit, when it has been asked already, and whether that
    /// operation woke the threads of what it did.
    var knownOutcome: (outcome: Outcome, isAwake: Bool)? {
        _read { yield hot.value.knownOutcome }
        _modify { yield &hot.value.knownOutcome }
    }
    /// When parked pieces are tried again.
    var parkedBackoff: Backoff {
        _read { yield hot.value.parkedBackoff }
        _modify { yield &hot.value.parkedBackoff }
    }

    var statistics: PagerStatistics {
        _read { yield hot.value.statistics }
        _modify { yield &hot.value.statistics }
    }
}
