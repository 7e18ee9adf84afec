/// One run: threads access every page of a file that is larger than what may be in memory of it.
struct PagingRun {
    /// How pages are accessed.
    enum Pattern: String, CaseIterable {
        case sequential
        case shuffled
        case shuffledWrites = "shuffled writes"
        case shuffledChanges = "shuffled read-modify-writes"

        var access: PageAccess {
            switch self {
            case .sequential, .shuffled: .read
            case .shuffledWrites: .write
            case .shuffledChanges: .change
            }
        }
    }

    /// What came of it.
    struct Result {
        var accesses: PageAccesses.Result
        /// What was done in the measured time.
        var counters: PagingCounters
        /// From the last access to when everything is in the file, nanoseconds.
        var flushTime: UInt64
    }

    /// Four times what may be in memory.
    var pages: Int
    var threads: Int
    var pattern: Pattern
    var seed: UInt64
    var placement: Placement

    /// Measures `variant`, and verifies every access and what is in the file at the end.
    func measure(_ variant: any PagingVariant) async throws -> Result {
        let contents = try ChangingContents(pages: pages, seed: seed)
        let file = try ChangingFile(contents, byteCount: pages * System.pageSize)
        let running = try await variant.start(
            PagingWork(file: file, budget: pages / 4, cpu: placement.serving))
        func pass(_ number: UInt64) throws(RunError) -> PageAccesses.Result {
            try PageAccesses(
                pages: pages, threads: threads, access: pattern.access, isShuffled: pattern != .sequential,
                seed: seed &* 31 &+ number, cpu: placement.faulting
            ).run(over: running.base, expecting: contents, variant: variant.name)
        }
        // Once the budget is used up, something has to go for everything that comes.
        if running.evicts { _ = try pass(0) }
        let before = await running.counters()
        let result = try pass(1)
        let counters = await running.counters() - before
        let begin = System.now
        try await running.flush()
        let flushTime = System.now - begin
        try file.requireEqual(to: contents, variant: variant.name)
        try await running.stop()
        return Result(accesses: result, counters: counters, flushTime: flushTime)
    }
}
