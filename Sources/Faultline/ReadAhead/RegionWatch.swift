/// What is learned from the first touches of a region's pages, and made of it.
struct RegionWatch {
    var readAhead: ReadAhead
    /// The most pages that may be in flight when read-ahead adds some.
    let budget: Int
    /// The pages that threads waited for, in the order in which they did.
    var recording: TouchTrace?

    init(_ policy: ReadAheadPolicy, pageSize: Int) {
        readAhead = ReadAhead(maximum: policy.maximumByteCount / pageSize)
        budget = policy.budgetByteCount / pageSize
    }

    var isIdle: Bool { recording == nil && (readAhead.maximum == 0 || readAhead.advice == .random) }

    /// The pages to ask for when threads wait for `pages`. While first touches are recorded nothing is filled ahead: it would
    /// hide them.
    mutating func plan(_ pages: Range<Int>, in table: borrowing FaultTable, room: Int = .max)
        -> ReadAhead.Plan
    {
        guard recording == nil else {
            recording?.append(pages)
            return ReadAhead.Plan(window: pages)
        }
        return readAhead.plan(pages, in: table, room: max(min(budget - table.inFlightCount, room), 0))
    }
}
