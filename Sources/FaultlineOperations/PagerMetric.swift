import EventReactor
import Faultline

/// A number of ``PagerStatistics`` as it is given out.
struct PagerMetric: Sendable {
    let name: String
    let kind: MetricsPage.Kind
    let help: String
    let labels: KeyValuePairs<String, String>
    let value: any KeyPath<PagerStatistics, Int> & Sendable

    private static func counter(
        _ name: String, _ value: any KeyPath<PagerStatistics, Int> & Sendable, _ help: String,
        _ labels: KeyValuePairs<String, String> = [:]
    ) -> PagerMetric {
        PagerMetric(name: "faultline_\(name)_total", kind: .counter, help: help, labels: labels, value: value)
    }

    private static func gauge(
        _ name: String, _ value: any KeyPath<PagerStatistics, Int> & Sendable, _ help: String
    ) -> PagerMetric {
        PagerMetric(name: "faultline_\(name)", kind: .gauge, help: help, labels: [:], value: value)
    }

    private static let ioctls = "Calls of ioctl_userfaultfd(2) that resolve or wake."
    private static let outcomes = "Calls that did not do all they were asked to."
    private static let readAhead = "Pages asked for ahead of their readers, and what became of them."

    static let all: [PagerMetric] = [
        counter("messages", \.messages, "Messages read from the kernel."),
        counter("events", \.events, "Messages about changes of the address space among them."),
        counter("reads", \.reads, "Calls of read(2) on the userfaultfd."),
        counter("requests", \.requests, "Requests to handlers."),
        counter("synchronous_answers", \.synchronousAnswers, "Requests answered by the synchronous entry."),
        counter("joined_faults", \.joined, "Messages for a page that a request was to supply already."),
        counter("late_faults", \.late, "Messages for a page that was there already."),
        counter(
            "removed_answers", \.removedAnswers,
            "Pages answered with zeroes, their contents having been dropped."),
        counter("stray_faults", \.strays, "Messages for an address in no region."),
        counter(
            "huge_fills", \.hugeFills, "Pieces of 2 MiB that have become huge pages as they were filled."),
        counter("ioctls", \.copies, ioctls, ["ioctl": "copy"]),
        counter("ioctls", \.moves, ioctls, ["ioctl": "move"]),
        counter("ioctls", \.continues, ioctls, ["ioctl": "continue"]),
        counter("ioctls", \.unprotects, ioctls, ["ioctl": "unprotect"]),
        counter("ioctls", \.protects, ioctls, ["ioctl": "protect"]),
        counter("ioctls", \.zeroPages, ioctls, ["ioctl": "zeropage"]),
        counter("ioctls", \.poisons, ioctls, ["ioctl": "poison"]),
        counter("ioctls", \.wakes, ioctls, ["ioctl": "wake"]),
        counter("ioctl_outcomes", \.exists, outcomes, ["outcome": "EEXIST"]),
        counter("ioctl_outcomes", \.again, outcomes, ["outcome": "EAGAIN"]),
        counter("ioctl_outcomes", \.partials, outcomes, ["outcome": "partial"]),
        counter("installed_bytes", \.bytes, "Bytes installed."),
        counter(
            "watched_writes", \.watchedWrites, "Writes to protected pages that a tracker or snapshot saw."),
        counter("poisoned_pages", \.poisonedPages, "Pages poisoned because they could not be supplied."),
        counter("failures", \.failures, "Failures of handlers, and refused commits."),
        counter("commits", \.commits, "Turns in which something was committed."),
        counter(
            "in_thread_resolutions", \.inThreadResolutions, "Faults that their threads resolved themselves."),
        counter("in_thread_pages", \.inThreadPages, "Pages that faulting threads installed themselves."),
        counter("evicted_pages", \.evictedPages, "Pages that have left memory for others."),
        counter("discards", \.discards, "Calls of process_madvise(2) that dropped them."),
        counter("refaults", \.refaults, "Pages needed again soon after they had left."),
        counter("store_writes", \.writeBacks, "Writes to stores."),
        counter("store_written_bytes", \.writtenBytes, "Bytes written to stores."),
        counter("store_flushes", \.flushes, "Flushes of stores."),
        counter("budget_waits", \.budgetWaits, "Requests that waited for room in a budget."),
        counter("read_ahead_pages", \.readAheadPages, readAhead, ["outcome": "asked"]),
        counter("read_ahead_pages", \.readAheadHits, readAhead, ["outcome": "hit"]),
        counter("read_ahead_pages", \.readAheadWaste, readAhead, ["outcome": "waste"]),
        gauge("pages_in_flight", \.inFlightPages, "Pages some request is to supply now."),
        gauge("pages_present", \.presentPages, "Pages that are there."),
        gauge("pages_dirty", \.dirtyPages, "Pages that differ from their store."),
    ]
}

/// A number of `TurnStatistics` as it is given out.
struct ReactorMetric: Sendable {
    let name: String
    let help: String
    var scale = 1.0
    let value: any KeyPath<TurnStatistics, UInt64> & Sendable

    static let all: [ReactorMetric] = [
        .init(name: "faultline_reactor_turns_total", help: "Turns of the loop.", value: \.turns),
        .init(name: "faultline_reactor_waits_total", help: "Turns that blocked.", value: \.waits),
        .init(name: "faultline_reactor_callbacks_total", help: "Ready descriptors.", value: \.callbacks),
        .init(name: "faultline_reactor_jobs_total", help: "Jobs run.", value: \.jobs),
        .init(
            name: "faultline_reactor_wakeups_total", help: "System calls to wake the loop.", value: \.wakeups),
        .init(name: "faultline_reactor_timers_total", help: "Timers that fired.", value: \.timersFired),
        .init(
            name: "faultline_reactor_waiting_seconds_total", help: "Time spent blocked, if it is measured.",
            scale: 1e-9, value: \.waitingNanoseconds),
    ]
}
