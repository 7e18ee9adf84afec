package import Userfault

/// Turns the resolutions of a turn into as few ioctls as they allow: a pure state machine.
///
/// Pieces are added as handlers answer. `beginCommit()` sorts them by address and joins neighbours whose sources are
/// neighbours too into runs. Then `next()` gives one operation at a time, `record(_:)` takes the kernel's answer and
/// says which bytes are settled and how, and decides what comes next: after a partial copy the rest, after a page
/// that exists the page behind it, after a failure single pages, so that one bad page does not take its neighbours
/// with it.
package struct Scheduler<Tag> {
    private let mayJoin: (Tag, Tag) -> Bool
    private var pending: [Piece] = []
    /// Those that nobody was seen waiting for, in the order in which they came.
    private var ahead: [Piece] = []
    private var lastPlace = 0
    private var batch: [Piece] = []
    /// The pieces of the run under way, as positions in `batch`, its end, and the next byte to do.
    private var run = 0..<0
    private var runEnd: UInt = 0
    private var position: UInt = 0
    private var singlePages = false
    private var current: Operation?

    /// `mayJoin` says whether pieces with these tags may share an ioctl (pieces of one region may).
    package init(mayJoin: @escaping (Tag, Tag) -> Bool) {
        self.mayJoin = mayJoin
    }

    private var pageSize: Int { batch[run.lowerBound].pageSize }

    package var hasPending: Bool { !pending.isEmpty || !ahead.isEmpty }
    package var pendingCount: Int { pending.count + ahead.count }
    package var hasAwaited: Bool { !pending.isEmpty }
    package var hasAhead: Bool { !ahead.isEmpty }
    /// The pages that nobody was seen waiting for.
    package var pagesAhead: Int { ahead.reduce(0) { $0 + $1.range.byteCount / $1.pageSize } }
    /// The place of the first piece that nobody was seen waiting for, and of the next one to come.
    package var startAhead: Int { ahead.first?.place ?? endAhead }
    package var endAhead: Int { lastPlace + 1 }
    /// The positions of the pieces that the run under way is made of.
    package var runPieces: Range<Int> { run }
    package var isCommitting: Bool { run.upperBound < batch.count || position < runEnd }

    package mutating func add(_ piece: Piece) {
        assert(piece.range.byteCount > 0 && piece.range.byteCount % piece.pageSize == 0)
        guard piece.isAhead else { return pending.append(piece) }
        ahead.append(piece)
        guard piece.place == 0 else { return }
        lastPlace += 1
        ahead[ahead.count - 1].place = lastPlace
    }

    /// Takes back what is pending and fulfils a condition.
    package mutating func removePending(where condition: (Piece) -> Bool) {
        pending.removeAll(where: condition)
        ahead.removeAll(where: condition)
    }

    /// Takes back all that is pending.
    package mutating func takePending() -> [Piece] {
        defer {
            pending.removeAll(keepingCapacity: true)
            ahead.removeAll(keepingCapacity: true)
        }
        return pending + ahead
    }

    /// Takes the one piece that threads wait for, if it is the only one.
    package mutating func takeOnly() -> Piece? { pending.count == 1 ? pending.removeLast() : nil }

    /// Takes what threads wait for as the batch to commit. Returns the number of pages in it.
    package mutating func beginCommit() -> Int {
        assert(!isCommitting)
        batch.removeAll(keepingCapacity: true)
        swap(&batch, &pending)
        return startBatch()
    }

    /// Takes pieces that nobody was seen waiting for as the batch to commit, the oldest first: as many as reach `limit` pages.
    /// Returns the number of pages in it.
    package mutating func beginCommit(ahead limit: Int) -> Int {
        assert(!isCommitting)
        batch.removeAll(keepingCapacity: true)
        var pages = 0
        var count = 0
        while count < ahead.count, pages < limit {
            pages += ahead[count].range.byteCount / ahead[count].pageSize
            count += 1
        }
        if count == ahead.count {
            swap(&batch, &ahead)
        } else {
            batch.append(contentsOf: ahead[..<count])
            ahead.removeFirst(count)
        }
        return startBatch()
    }

    private mutating func startBatch() -> Int {
        run = 0..<0
        runEnd = 0
        position = 0
        if batch.count > 1 { batch.sortInPlace { $0.range.start < $1.range.start } }
        var pages = 0
        for piece in batch { pages += piece.range.byteCount / piece.pageSize }
        return pages
    }

    /// The next operation to carry out, or nil when the batch is done.
    package mutating func next() -> Operation? {
        if position == runEnd {
            guard run.upperBound < batch.count else {
                endCommit()
                return nil
            }
            startRun(at: run.upperBound)
        }
        let rest = Int(runEnd - position)
        let action = batch[run.lowerBound].action.advanced(by: position - batch[run.lowerBound].range.start)
        let operation = Operation(
            range: AddressRange(start: position, byteCount: singlePages ? min(rest, pageSize) : rest),
            action: action)
        current = operation
        return operation
    }

    /// Takes the kernel's answer to the last operation. Returns what is settled by it; nil when nothing is yet.
    package mutating func record(_ outcome: Outcome) -> Settlement? {
        guard let operation = current else {
            preconditionFailure("Faultline: an outcome without an operation")
        }
        current = nil
        let range = operation.range
        switch outcome {
        case .whole:
            singlePages = false
            return settle(range.byteCount, .done)
        case .partial(let bytesDone):
            let whole = bytesDone / pageSize * pageSize
            guard whole > 0, whole < range.byteCount else { return settleRest(.again) }
            return settle(whole, .done)
        case .exists:
            return settle(pageSize, .exists)
        case .again:
            return settleRest(.again)
        case .gone(.process):
            return settleRest(.gone(.process))
        case .gone(.range):
            return settleOrNarrow(range, .gone(.range))
        case .failed(let error):
            return settleOrNarrow(range, .failed(error))
        }
    }

    /// A piece of the run under way, by its position.
    package subscript(index: Int) -> Piece { batch[index] }

    /// The part of a piece of the run under way that lies in `range`.
    package func part(_ index: Int, in range: AddressRange) -> AddressRange? {
        batch[index].range.intersection(range)
    }

    private mutating func startRun(at index: Int) {
        var end = index + 1
        while end < batch.count, joins(batch[end - 1], batch[end]) { end += 1 }
        run = index..<end
        position = batch[index].range.start
        runEnd = batch[end - 1].range.end
        singlePages = false
    }

    private func joins(_ left: Piece, _ right: Piece) -> Bool {
        guard left.range.end == right.range.start, mayJoin(left.tag, right.tag) else { return false }
        return left.action.advanced(by: UInt(left.range.byteCount)) == right.action
    }

    private mutating func settle(_ byteCount: Int, _ disposition: Disposition) -> Settlement {
        let settled = AddressRange(start: position, byteCount: byteCount)
        position += UInt(byteCount)
        return Settlement(range: settled, disposition: disposition)
    }

    private mutating func settleRest(_ disposition: Disposition) -> Settlement {
        settle(Int(runEnd - position), disposition)
    }

    private mutating func settleOrNarrow(_ range: AddressRange, _ disposition: Disposition) -> Settlement? {
        guard range.byteCount > pageSize else { return settle(pageSize, disposition) }
        singlePages = true
        return nil
    }

    /// Lets go of the pieces, and with them of the memory their sources lie in.
    private mutating func endCommit() {
        batch.removeAll(keepingCapacity: true)
        run = 0..<0
        position = 0
        runEnd = 0
    }
}
