/// Counts since the pager was made, from ``Pager/statistics``. All of them only grow, but ``inFlightPages``,
/// ``presentPages`` and ``dirtyPages``. A value is a copy: it does not change any more.
public struct PagerStatistics: Hashable, Sendable {
    /// Messages read from the kernel. A thread that is hit by a signal while it waits sends another one.
    public internal(set) var messages = 0
    /// Messages about the address space among them: forks, moves, removals, unmappings.
    public internal(set) var events = 0
    /// Calls of read(2), or looks at what another thread has read, those that found nothing included.
    public internal(set) var reads = 0
    /// Calls of the handlers, retries included.
    public internal(set) var requests = 0
    /// Requests answered by the synchronous entry.
    public internal(set) var synchronousAnswers = 0
    /// Messages for a page that a request was to supply already.
    public internal(set) var joined = 0
    /// Messages for a page that was there already.
    public internal(set) var late = 0
    /// Pages answered with zeroes because their contents were dropped, without asking a handler or in place of its answer.
    public internal(set) var removedAnswers = 0
    /// Messages for an address in no region of the pager.
    public internal(set) var strays = 0
    /// `UFFDIO_COPY` calls.
    public internal(set) var copies = 0
    /// `UFFDIO_MOVE` calls.
    public internal(set) var moves = 0
    /// Pieces of 2 MiB that have become huge pages by it (``RegionOptions/fillsHugePages``).
    public internal(set) var hugeFills = 0
    /// `UFFDIO_CONTINUE` calls.
    public internal(set) var continues = 0
    /// `UFFDIO_WRITEPROTECT` calls that lift the protection.
    public internal(set) var unprotects = 0
    /// `UFFDIO_WRITEPROTECT` calls that protect, those for pages that are about to be written to their store included.
    public internal(set) var protects = 0
    /// Writes to protected pages that a tracker or a snapshot took care of, instead of the handler.
    public internal(set) var watchedWrites = 0
    /// `UFFDIO_ZEROPAGE` calls.
    public internal(set) var zeroPages = 0
    /// `UFFDIO_POISON` calls.
    public internal(set) var poisons = 0
    /// `UFFDIO_WAKE` calls.
    public internal(set) var wakes = 0
    /// Bytes installed: copied, zeroed or poisoned.
    public internal(set) var bytes = 0
    /// Pages poisoned because they could not be supplied.
    public internal(set) var poisonedPages = 0
    /// `EEXIST` answers: a page was there already, and its threads were woken.
    public internal(set) var exists = 0
    /// `EAGAIN` answers without progress: tried again later, by a timer.
    public internal(set) var again = 0
    /// Answers that did only a part: resumed at the first byte not done.
    public internal(set) var partials = 0
    /// Faults that the faulting threads resolved themselves (``ResolutionMode/inThread``). They are in none of the counts of
    /// messages, requests and ioctls; what threads handed to the reactor is.
    public internal(set) var inThreadResolutions = 0
    /// Pages that they installed; they count in ``bytes`` and ``presentPages`` too.
    public internal(set) var inThreadPages = 0
    /// Failures of handlers, and of commits that were refused.
    public internal(set) var failures = 0
    /// Turns in which something was committed.
    public internal(set) var commits = 0
    /// Pages some request is to supply now.
    public internal(set) var inFlightPages = 0
    /// Pages that are there, poisoned ones included.
    public internal(set) var presentPages = 0

    /// Pages of regions over stores that have left memory for others.
    public internal(set) var evictedPages = 0
    /// process_madvise(2) calls that dropped them.
    public internal(set) var discards = 0
    /// Pages that were needed again soon after they had left.
    public internal(set) var refaults = 0
    /// Writes to stores: calls of ``PageStore/write(_:)``.
    public internal(set) var writeBacks = 0
    /// Bytes written to stores.
    public internal(set) var writtenBytes = 0
    /// Flushes of stores: calls of ``PageStore/flush()``.
    public internal(set) var flushes = 0
    /// Pages that differ from their store now, or are being written to it.
    public internal(set) var dirtyPages = 0
    /// Requests that waited for room in a ``MemoryBudget``.
    public internal(set) var budgetWaits = 0

    /// Pages asked for ahead of their readers, prefetches excluded.
    public internal(set) var readAheadPages = 0
    /// Those of them that are known to have been read: the reader was met where they end.
    public internal(set) var readAheadHits = 0
    /// Those of them whose reader was not heard of any more.
    public internal(set) var readAheadWaste = 0

    /// All ioctls that resolve or wake.
    public var ioctls: Int { copies + moves + continues + unprotects + zeroPages + poisons + wakes }

    mutating func add(_ residency: borrowing Residency) {
        dirtyPages += residency.dirtyCount + residency.writingCount
        refaults += residency.refaults
    }

    mutating func add(_ readAhead: ReadAhead) {
        readAheadPages += readAhead.filled
        readAheadHits += readAhead.hits
        readAheadWaste += readAhead.waste
    }

    /// Adds what another pager has counted.
    mutating func add(_ other: PagerStatistics) {
        messages += other.messages
        events += other.events
        reads += other.reads
        requests += other.requests
        synchronousAnswers += other.synchronousAnswers
        joined += other.joined
        late += other.late
        removedAnswers += other.removedAnswers
        strays += other.strays
        copies += other.copies
        moves += other.moves
        hugeFills += other.hugeFills
        continues += other.continues
        unprotects += other.unprotects
        protects += other.protects
        watchedWrites += other.watchedWrites
        zeroPages += other.zeroPages
        poisons += other.poisons
        wakes += other.wakes
        bytes += other.bytes
        poisonedPages += other.poisonedPages
        exists += other.exists
        again += other.again
        partials += other.partials
        inThreadResolutions += other.inThreadResolutions
        inThreadPages += other.inThreadPages
        failures += other.failures
        commits += other.commits
        inFlightPages += other.inFlightPages
        presentPages += other.presentPages
        evictedPages += other.evictedPages
        discards += other.discards
        refaults += other.refaults
        writeBacks += other.writeBacks
        writtenBytes += other.writtenBytes
        flushes += other.flushes
        dirtyPages += other.dirtyPages
        budgetWaits += other.budgetWaits
        readAheadPages += other.readAheadPages
        readAheadHits += other.readAheadHits
        readAheadWaste += other.readAheadWaste
    }
}
