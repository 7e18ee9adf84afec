import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// The scheduler against a kernel that is a dictionary of pages, and that does as little as a real one may.
@Suite(.timeLimit(.minutes(5)))
struct SchedulerModelTests {
    typealias TestScheduler = Scheduler<Int>

    @Test(arguments: 0..<60)
    func `every page is settled once, with the bytes it was to have`(round: Int) throws {
        let seed = TestSeed()
        var model = SchedulerModel(seed: seed, stream: UInt64(round))
        var turns = 0
        var hasMore = model.beginTurn()
        while hasMore {
            turns += 1
            try #require(turns < 2000, "nothing is put off for ever; \(seed)")
            try model.commit()
            hasMore = model.beginTurn()
        }
        try model.checkEnd()
    }

    @Test func `pieces that are taken back are never carried out`() throws {
        let seed = TestSeed()
        var random = TestRandom(seed)
        for _ in 0..<200 {
            var scheduler = TestScheduler { $0 == $1 }
            for page in 0..<20 {
                scheduler.add(
                    TestScheduler.Piece(
                        range: AddressRange(start: UInt(4096 * (page + 1)), byteCount: 4096), action: .zero,
                        pageSize: 4096, tag: random.below(3)))
            }
            let doomed = random.below(3)
            scheduler.removePending { $0.tag == doomed }
            _ = scheduler.beginCommit()
            while scheduler.next() != nil {
                try #require(!scheduler.runPieces.contains { scheduler[$0].tag == doomed }, "\(seed)")
                _ = scheduler.record(.whole)
            }
            try #require(!scheduler.hasPending && !scheduler.isCommitting, "\(seed)")
        }
    }
}

/// Pages, what is to become of them, and a kernel that does it bit by bit.
private struct SchedulerModel {
    typealias TestScheduler = Scheduler<Int>

    /// What a page of the model holds.
    enum Contents: Hashable { case bytes(UInt), zero, poison, foreign }

    struct Page {
        var contents: Contents?
        /// Every operation on it is refused.
        var isBad = false
        /// It is not mapped any more.
        var isGone = false
        /// What it is to hold.
        var wanted: TestScheduler.Action?
        var tag = 0
        var settled: TestScheduler.Disposition?
    }

    let seed: TestSeed
    let pageSize: Int
    let base: UInt = 1 << 30
    var random: TestRandom
    var pages: [Page]
    var scheduler = TestScheduler { $0 == $1 }
    /// Pieces the kernel told to come back later.
    var parked: [TestScheduler.Piece] = []
    /// Pages of the turn under way that wait for a settlement.
    var awaited: Set<Int> = []

    init(seed: TestSeed, stream: UInt64) {
        self.seed = seed
        random = TestRandom(seed, stream: stream)
        pageSize = random.chance(80) ? 4096 : 65536
        var random = random
        pages = (0..<300).map { _ in
            var page = Page()
            if random.chance(5) { page.isBad = true }
            if random.chance(3) { page.isGone = true }
            if random.chance(5) { page.contents = .foreign }
            return page
        }
        self.random = random
    }

    func range(_ numbers: Range<Int>) -> AddressRange {
        AddressRange(
            start: base + UInt(numbers.lowerBound * pageSize), byteCount: numbers.count * pageSize)
    }

    func numbers(_ range: AddressRange) -> Range<Int> {
        let first = Int(range.start - base) / pageSize
        return first..<first + range.byteCount / pageSize
    }

    /// Adds pieces in no order; false when every page has been settled.
    mutating func beginTurn() -> Bool {
        var pieces = parked
        parked.removeAll()
        for _ in 0..<random.below(12) { pieces += newPieces() }
        if pieces.isEmpty {
            guard let next = pages.firstIndex(where: { $0.wanted == nil }) else { return false }
            pieces = [piece(next..<next + 1, .zero, tag: 0)]
        }
        pieces.shuffle(using: &random)
        for piece in pieces {
            awaited.formUnion(numbers(piece.range))
            scheduler.add(piece)
        }
        return true
    }

    private mutating func piece(
        _ numbers: Range<Int>, _ action: TestScheduler.Action, tag: Int
    ) -> TestScheduler.Piece {
        for number in numbers {
            pages[number].tag = tag
            pages[number].wanted = action
            if case .copy(let source) = action {
                pages[number].wanted = .copy(source: source + UInt((number - numbers.lowerBound) * pageSize))
            }
        }
        return TestScheduler.Piece(range: range(numbers), action: action, pageSize: pageSize, tag: tag)
    }

    /// A run of pages nobody has asked for yet, cut into pieces whose sources may or may not be neighbours.
    private mutating func newPieces() -> [TestScheduler.Piece] {
        let wanted = random.range(within: pages.count)
        guard !wanted.isEmpty, pages[wanted].allSatisfy({ $0.wanted == nil }) else { return [] }
        var pieces: [TestScheduler.Piece] = []
        var start = wanted.lowerBound
        while start < wanted.upperBound {
            let end = min(start + 1 + random.below(4), wanted.upperBound)
            let action: TestScheduler.Action =
                switch random.below(6) {
                case 0: .zero
                case 1: .poison
                case 2: .copy(source: UInt(1 + random.below(1000)) << 40 + 8)
                // One image for all, at an odd offset.
                default: .copy(source: 1 << 50 + 24 + UInt(start * pageSize))
                }
            pieces.append(piece(start..<end, action, tag: random.chance(90) ? 0 : 1))
            start = end
        }
        return pieces
    }

    /// How many ioctls would do if nothing went wrong.
    private func runs() -> Int {
        awaited.count { number in
            guard awaited.contains(number - 1), pages[number].tag == pages[number - 1].tag else {
                return true
            }
            switch (pages[number - 1].wanted, pages[number].wanted) {
            case (.copy(let left), .copy(let right)): return left + UInt(pageSize) != right
            case (.zero, .zero), (.poison, .poison): return false
            default: return true
            }
        }
    }

    mutating func commit() throws {
        let most = runs()
        try #require(scheduler.beginCommit() == awaited.count, "\(seed)")
        var operations = 0
        var obstacles = 0
        var reached: UInt = 0
        while let operation = scheduler.next() {
            operations += 1
            try #require(operation.range.start >= reached, "ascending; \(seed)")
            try #require(Set(numbers(operation.range)).isSubset(of: awaited), "only what was added; \(seed)")
            reached = operation.range.start
            try check(operation)
            let before = pages
            let outcome = carryOut(operation)
            if outcome != .whole { obstacles += 1 }
            guard let settlement = scheduler.record(outcome) else { continue }
            try settle(settlement, before: before)
        }
        try #require(awaited.isEmpty, "every page of the turn is settled; \(seed)")
        try #require(operations <= most + 2 * obstacles, "\(seed)")
        try #require(!scheduler.isCommitting && !scheduler.hasPending, "\(seed)")
    }

    /// An operation asks for what each of its pages is to hold.
    private func check(_ operation: TestScheduler.Operation) throws {
        for (index, number) in numbers(operation.range).enumerated() {
            var action = operation.action
            if case .copy(let source) = action { action = .copy(source: source + UInt(index * pageSize)) }
            try #require(pages[number].wanted == action, "page \(number), \(seed)")
        }
    }

    /// The kernel: page by page, up to the first that is in the way.
    private mutating func carryOut(_ operation: TestScheduler.Operation) -> Outcome {
        let wanted = numbers(operation.range)
        let error = UserfaultfdError(
            operation: .copy, errno: .badAddress, range: operation.range, bytesDone: 0)
        if random.chance(5) { return .again }
        if pages[wanted].contains(where: \.isGone) { return .gone(.range) }
        // Some refusals are for the whole range, before anything is done.
        if random.chance(20), pages[wanted].contains(where: \.isBad) { return .failed(error) }
        for number in wanted {
            let done = (number - wanted.lowerBound) * pageSize
            if done > 0, random.chance(4) { return .partial(bytesDone: done) }
            if random.chance(2), pages[number].contents == nil { pages[number].contents = .foreign }
            if pages[number].isBad { return done > 0 ? .partial(bytesDone: done) : .failed(error) }
            if pages[number].contents != nil { return done > 0 ? .partial(bytesDone: done) : .exists }
            switch operation.action {
            case .copy(let source), .copyProtected(let source), .move(let source):
                pages[number].contents = .bytes(source + UInt(done))
            case .zero: pages[number].contents = .zero
            // The model has no page cache and no protection.
            case .mapExisting, .unprotect: break
            case .poison: pages[number].contents = .poison
            }
        }
        return .whole
    }

    private mutating func settle(_ settlement: TestScheduler.Settlement, before: [Page]) throws {
        let settled = numbers(settlement.range)
        // The parts of the run's pieces tell whose bytes these are: each page is in one of them.
        var parts: [Int] = []
        for index in scheduler.runPieces {
            guard let part = scheduler.part(index, in: settlement.range) else { continue }
            parts += numbers(part)
            guard settlement.disposition == .again else { continue }
            var rest = scheduler[index]
            if case .copy(let source) = rest.action {
                rest.action = .copy(source: source + (part.start - rest.range.start))
            }
            rest.range = part
            parked.append(rest)
        }
        try #require(parts == Array(settled), "\(seed)")
        for number in settled {
            try #require(awaited.remove(number) != nil, "page \(number) is settled once; \(seed)")
            try #require(pages[number].settled == nil, "page \(number) is settled for good once; \(seed)")
            if settlement.disposition != .again { pages[number].settled = settlement.disposition }
            switch settlement.disposition {
            case .done:
                try #require(before[number].contents == nil && pages[number].contents != nil, "\(seed)")
            case .exists:
                try #require(pages[number].contents == .foreign, "page \(number), \(seed)")
            case .again:
                break
            case .gone:
                try #require(pages[number].isGone, "page \(number), \(seed)")
            case .failed:
                try #require(pages[number].isBad, "page \(number), \(seed)")
            }
        }
    }

    /// Everything was settled, and holds what it should.
    func checkEnd() throws {
        for (number, page) in pages.enumerated() {
            switch page.settled {
            case .done:
                let expected: Contents? =
                    switch page.wanted {
                    case .copy(let source), .copyProtected(let source), .move(let source): .bytes(source)
                    case .mapExisting, .unprotect: nil
                    case .zero: .zero
                    case .poison: .poison
                    case nil: nil
                    }
                try #require(page.contents == expected, "page \(number), \(seed)")
            case .exists:
                try #require(page.contents == .foreign, "page \(number), \(seed)")
            case .gone, .failed:
                try #require(page.contents == nil || page.contents == .foreign, "page \(number), \(seed)")
            case .again, nil:
                Issue.record("page \(number) was never settled; \(seed)")
            }
        }
    }
}
