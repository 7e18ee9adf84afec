import EventReactor
import Userfault

/// Looks at the writes to the protected pages of one region in its handler's place: for a tracker, for a snapshot, or for
/// both. Loop's thread only.
///
/// Everything about it rests on one rule: pages are protected, protection is lifted, and what that means is written down,
/// all on the loop, one after the other. So nobody can find a page unprotected of which nothing was noted yet, and while
/// the loop is busy with a few pages, whoever writes to a protected one waits.
final class WriteWatch {
    let core: PagerCore
    let region: RegionState
    var tracking: DirtyTracking? { didSet { update() } }
    var snapshot: SnapshotCore? { didSet { update() } }
    /// Pages may be protected that nobody will come to lift: to be swept when the watch ends.
    var mayBeProtected = false
    /// The same, but known one by one.
    var leftovers: PageBitmap
    private var passes: [ObjectIdentifier: PagePass] = [:]
    private var sweep: PagePass?
    private var atRest: [() -> Void] = []
    /// Pages whose writers the kernel did not let us let go yet.
    private var putOff: Set<Int> = []
    private var isRetired = false
    private var timer: TimerID?
    private var backoff = Backoff(first: .microseconds(20), limit: .milliseconds(1))

    init(_ region: RegionState, _ core: PagerCore) {
        self.region = region
        self.core = core
        leftovers = PageBitmap(pageCount: region.table.pageCount)
    }

    /// Whether the kernel lifts protection by itself, and sends no messages.
    var isAsynchronous: Bool { core.kernel?.features.contains(.asynchronousWriteProtect) ?? false }

    /// What has to be protected for every write to be noticed. Pages that come later are protected as they come.
    func protectablePages() -> PageBitmap {
        if region.hasOnlySuppliedPages { return region.table.presentPages() }
        var pages = PageBitmap(pageCount: region.table.pageCount)
        pages.insert(0..<pages.pageCount)
        return pages
    }

    /// Threads wait to write to `pages`, which are protected.
    func admit(_ pages: Range<Int>) {
        guard let snapshot, snapshot.isCopying else { return letWrite(pages) }
        var start = pages.lowerBound
        for page in pages where snapshot.hold(page) {
            if start < page { letWrite(start..<page) }
            start = page + 1
        }
        if start < pages.upperBound { letWrite(start..<pages.upperBound) }
    }

    /// Lifts the protection of `pages`, lets their threads go, and notes that they write.
    func letWrite(_ pages: Range<Int>) {
        guard let kernel = core.kernel else { return }
        let range = region.range(of: pages)
        let wakesAtOnce = !core.isReading || core.wakesAtOnce
        core.statistics.unprotects += 1
        switch kernel.unprotect(range, wake: wakesAtOnce) {
        case .whole:
            if !wakesAtOnce { core.wakeLater(range) }
        case .again, .partial, .exists:
            // Nothing was done. When it is tried again, the page may be one to hold.
            return tryAgain(pages)
        case .gone:
            core.wake(range)
        case .failed(let error):
            core.report(PagerError(error))
            core.wake(range)
        }
        if !putOff.isEmpty { putOff.subtract(pages) }
        // A refusal may have come after the front of the range.
        tracking?.dirty.insert(pages)
        snapshot?.wrote(pages)
    }

    /// `pages` have been installed, or are poisoned.
    func installed(_ pages: Range<Int>) { snapshot?.installed(pages) }

    /// `pages` are not the region's any more. An image that lacks them is not what was asked for.
    func lost(_ pages: Range<Int>, _ range: AddressRange) {
        tracking?.dirty.remove(pages)
        leftovers.remove(pages)
        if !putOff.isEmpty { putOff.subtract(pages) }
        snapshot?.abort(
            PagerError(
                .unreadable, "a part of the region to be saved was unmapped or moved away", range: range))
    }

    private func tryAgain(_ pages: Range<Int>) {
        putOff.formUnion(pages)
        if timer == nil { timer = core.reactor.startTimer(after: backoff.next(), self) }
    }
}

extension WriteWatch: TimerHandler {
    func timerFired(_ id: TimerID) {
        timer = nil
        let pages = putOff.sorted()
        putOff.removeAll(keepingCapacity: true)
        for page in pages { admit(page..<page + 1) }
        if putOff.isEmpty { backoff.reset() }
    }
}

// The watch's beginning and end.
extension WriteWatch {
    private func update() {
        region.protectsFills = tracking != nil || snapshot?.protectsFills == true
        guard tracking == nil, snapshot == nil else { return endSweep() }
        settle()
    }

    /// The snapshot's state has changed.
    func snapshotChanged() { update() }

    /// Protects the set's pages, or lifts their protection, some at a time: faults are served in between.
    func pass(
        _ action: PagePass.Action, _ pages: PageBitmap, slice: PagePass.Slice,
        completion: @escaping (Result<[AddressRange], PagerError>) -> Void
    ) -> PagePass {
        let pass = PagePass(self, action, pages, slice)
        passes[ObjectIdentifier(pass)] = pass
        pass.begin { [weak self] result in
            self?.passes[ObjectIdentifier(pass)] = nil
            completion(result)
        }
        return pass
    }

    /// Ends a pass in the middle; nobody is told.
    func abandon(_ pass: PagePass?) {
        guard let pass else { return }
        passes[ObjectIdentifier(pass)] = nil
        pass.abandon()
    }

    /// Calls `body` when nobody is interested in writes any more and no page is protected.
    func whenAtRest(_ body: @escaping () -> Void) {
        if region.writeWatch === self { atRest.append(body) } else { body() }
    }

    /// Nobody is interested any more. What is still protected would bring its writes to the handler, which has not asked.
    private func settle() {
        guard sweep == nil, region.writeWatch === self, !isRetired else { return }
        takeBackPutOff()
        guard core.lifecycle != .closed, !isAsynchronous, mayBeProtected || leftovers.population > 0 else {
            return rest()
        }
        let pages = mayBeProtected ? protectablePages() : leftovers
        mayBeProtected = true
        leftovers = PageBitmap(pageCount: pages.pageCount)
        sweep = pass(.unprotect, pages, slice: .small) { [weak self] result in
            // A region that goes out of service loses all protection with that.
            guard let self, !isRetired else { return }
            self.sweep = nil
            if case .failure(let error) = result { core.report(error) }
            mayBeProtected = false
            if tracking == nil, snapshot == nil { settle() }
        }
    }

    /// Pages whose writers the kernel did not let go are protected still. Nobody may lift that later, when somebody else watches.
    private func takeBackPutOff() {
        for page in putOff { leftovers.insert(page..<page + 1) }
        putOff.removeAll(keepingCapacity: true)
        if let timer { core.reactor.cancelTimer(timer) }
        timer = nil
    }

    /// Somebody is interested again: what is protected stays so, and will be swept in the end.
    private func endSweep() {
        guard let sweep else { return }
        self.sweep = nil
        abandon(sweep)
        tellWaiters()
    }

    private func rest() {
        takeBackPutOff()
        region.writeWatch = nil
        region.protectsFills = false
        tellWaiters()
    }

    private func tellWaiters() {
        let waiting = atRest
        atRest.removeAll()
        for body in waiting { body() }
    }

    /// The region goes out of service: the kernel forgets every protection, and wakes whoever waits.
    func retire() {
        isRetired = true
        let passes = self.passes
        self.passes.removeAll()
        for pass in passes.values { pass.fail(.shutDown()) }
        tracking?.end()
        snapshot?.retire()
        tracking = nil
        snapshot = nil
        sweep = nil
        // Without a sweep.
        rest()
    }
}
