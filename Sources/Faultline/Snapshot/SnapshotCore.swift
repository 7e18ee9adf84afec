import EventReactor
import Userfault

/// The loop's part of a snapshot: finds the instant, holds writers, and lets them go when their page has been copied. Loop's
/// thread only.
///
/// ## The instant
/// All pages are protected, a slice in each turn, while writes are let through and noted. Then those that were written are
/// protected again, and so on, until few are left. The last pass is made without returning to the loop. Its end is the
/// instant that the image shows, for every completed write is before it and every other after it:
/// - A write to a page that was not protected yet is complete before the page is, and so before the end.
/// - A write to a protected page sends a message, which the loop does not read before the end. The thread waits, so that
///   nothing that it would do afterwards can have been seen by anyone.
///
/// ## What is supplied meanwhile
/// Pages come protected from the first pass on. One that was missing at the instant holds what its handler gave for it, and
/// is copied before anybody writes to it.
final class SnapshotCore {
    enum Phase {
        /// Nobody else may take a snapshot; nothing has been done yet.
        case reserved
        case protecting
        case copying
        case over
    }

    /// Pages that are protected in the last pass at most, some hundred microseconds' worth; more if there seems to be no end.
    private static let lastPassLimit = 512
    private static let passLimit = 8

    let watch: WriteWatch
    let board: SnapshotBoard
    private let suppliesMissing: Bool
    /// Whether somebody has to be asked to rest before the last pass, and has not come to rest yet.
    private var pauses: Bool
    var phase = Phase.reserved
    var supply: SnapshotSupply?
    var pass: PagePass?
    /// Pages that were written during the pass under way.
    var written: PageBitmap
    /// Pages to be copied still.
    var remaining: PageBitmap
    /// Pages that threads wait to write, and since when.
    var held: [Int: ContinuousClock.Instant] = [:]
    var startTime = ContinuousClock.now
    var report = SnapshotReport()
    var failure: PagerError?
    var whenStarted: ((Result<Int, PagerError>) -> Void)?
    var whenOver: ((SnapshotReport) -> Void)?

    init(_ watch: WriteWatch, board: SnapshotBoard, suppliesMissing: Bool, pauses: Bool) {
        self.watch = watch
        self.board = board
        self.suppliesMissing = suppliesMissing
        self.pauses = pauses
        written = PageBitmap(pageCount: watch.region.table.pageCount)
        remaining = PageBitmap(pageCount: watch.region.table.pageCount)
    }

    private var region: RegionState { watch.region }
    private var core: PagerCore { watch.core }

    var isCopying: Bool { phase == .copying }
    var protectsFills: Bool { phase == .protecting || phase == .copying }

    /// Protects the region. `completion` is told the number of pages to copy, at the instant that the image shows; or, where
    /// writers are paused, 0 when it is time for that: ``freeze(_:)`` goes on.
    func start(_ completion: @escaping (Result<Int, PagerError>) -> Void) {
        if let failure { return completion(.failure(failure)) }
        whenStarted = completion
        startTime = .now
        phase = .protecting
        watch.snapshotChanged()
        protect(watch.protectablePages(), slice: .small)
    }

    private func protect(_ pages: PageBitmap, slice: PagePass.Slice) {
        report.passes += 1
        pass = watch.pass(.protect, pages, slice: slice) { [self] result in
            guard phase == .protecting else { return }
            if case .failure(let error) = result { return abort(error) }
            let rest = written
            written = PageBitmap(pageCount: rest.pageCount)
            if rest.population <= Self.lastPassLimit || report.passes >= Self.passLimit {
                if pauses { waitForPause(rest) } else { protectLast(rest) }
            } else {
                protect(rest, slice: .large)
            }
        }
    }

    /// Writes are let through and noted until the writers rest.
    private func waitForPause(_ pages: PageBitmap) {
        written = pages
        let started = whenStarted
        whenStarted = nil
        started?(.success(0))
    }

    /// The writers rest. `completion` is told the number of pages to copy, at the instant that the image shows.
    func freeze(_ completion: @escaping (Result<Int, PagerError>) -> Void) {
        if let failure { return completion(.failure(failure)) }
        whenStarted = completion
        pauses = false
        let rest = written
        written = PageBitmap(pageCount: rest.pageCount)
        if rest.population <= Self.lastPassLimit { protectLast(rest) } else { protect(rest, slice: .large) }
    }

    /// The last pass: nothing is read from here to its end, so that nobody is let through.
    private func protectLast(_ pages: PageBitmap) {
        guard let kernel = core.kernel else { return }
        let begin = ContinuousClock.now
        var page = 0
        while let run = pages.nextRun(true, from: page, below: pages.pageCount) {
            core.statistics.protects += 1
            switch kernel.protect(region.range(of: run)) {
            case .whole:
                page = run.upperBound
            case .gone(.range):
                for page in run { _ = kernel.protect(region.range(of: page..<page + 1)) }
                page = run.upperBound
            case .failed(let error):
                return abort(PagerError(error))
            case .gone(.process):
                return abort(PagerError(.kernel, "the process whose memory this was has exited"))
            case .again, .partial, .exists:
                // The address space is changing: an ordinary pass waits for that, and then this one is tried again.
                return protect(pages, slice: .large)
            }
        }
        let now = ContinuousClock.now
        report.passes += 1
        report.pagesOfLastPass = pages.population
        report.lastPass = begin.duration(to: now)
        report.protecting = startTime.duration(to: now)
        beginCopying()
    }

    private func beginCopying() {
        phase = .copying
        let count = region.table.pageCount
        var present: [Range<Int>] = []
        if region.options.modes.contains(.missing) {
            var page = 0
            while let run = region.table.nextPresentRun(from: page) {
                present.append(run)
                page = run.upperBound
            }
        } else {
            present = [0..<count]
        }
        if suppliesMissing {
            remaining.insert(0..<count)
            let supply = SnapshotSupply(self, present: present)
            self.supply = supply
        } else {
            var end = 0
            for run in present {
                remaining.insert(run)
                if run.lowerBound > end { report.skipped.append(region.range(of: end..<run.lowerBound)) }
                end = run.upperBound
            }
            if end < count { report.skipped.append(region.range(of: end..<count)) }
        }
        board.add(present)
        let started = whenStarted
        whenStarted = nil
        started?(.success(remaining.population))
        if remaining.population == 0 { endIfWhole() } else { supply?.goOn() }
    }
}
