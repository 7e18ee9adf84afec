import EventReactor
import Userfault

extension PagerCore {
    /// The process has forked. Since the message was unread until now, nothing was filled since, and the child has what
    /// this pager knows of its parent.
    func forked(_ descriptor: CInt) {
        let kernel = KernelDescriptor(
            Userfaultfd(adopting: descriptor, features: self.kernel?.features ?? []))
        var inherited: [(AddressRange, RegionState)] = []
        regions.forEach { if $1.isInherited { inherited.append(($0, $1)) } }
        guard case .serve(let handlerFor, let onChild) = configuration.forkPolicy.choice, !inherited.isEmpty
        else {
            return Self.letGo(kernel, inherited)
        }
        if self.kernel?.canSpareDescriptors == false { probeChildren() }
        do {
            guard self.kernel?.canSpareDescriptors != false else { throw Self.noDescriptors }
            let core = try makeChild(kernel, inherited, handlerFor)
            // Who is on his way out takes nobody new on.
            guard lifecycle == .serving else { return core.close() }
            let pager = Pager(core, reactor: reactor, features: kernel.features)
            children.append(pager)
            core.onClosed = { [weak self, weak pager] in self?.children.removeAll { $0 === pager } }
            core.watchLife(of: inherited.first?.0)
            onChild(
                ForkedChild(
                    pager: pager, regions: core.regions.values.map { AdoptedRegion(state: $0, pager: pager) })
            )
        } catch {
            // Nobody is shown zeroes that nobody gave.
            report(error as? PagerError ?? PagerError(.reactor, "a forked child cannot be served: \(error)"))
            Self.seal(kernel, inherited)
            Self.letGo(kernel, inherited)
        }
    }

    private static let noDescriptors = PagerError(
        .system,
        "a forked child is not served, for want of a descriptor to keep for it: raise the limit (ulimit -n)")

    private static func seal(_ kernel: KernelDescriptor, _ inherited: [(AddressRange, RegionState)]) {
        for (piece, region) in inherited {
            let pages = region.pages(of: piece)
            var page = pages.lowerBound
            while let run = region.table.nextUnsuppliedRun(from: page, below: pages.upperBound) {
                _ = kernel.poison(region.range(of: run), wake: false)
                page = run.upperBound
            }
        }
    }

    /// Ends the serving of a child: what is missing in it is zero from now on.
    ///
    /// Closing the descriptor does it, unless another child has been forked since, which keeps a copy open.
    private static func letGo(_ kernel: KernelDescriptor, _ inherited: [(AddressRange, RegionState)]) {
        // The child may have ended; then there is nothing to let go.
        for (piece, _) in inherited { try? kernel.unregister(piece) }
    }

    private func makeChild(
        _ kernel: KernelDescriptor, _ inherited: [(AddressRange, RegionState)],
        _ handlerFor: (InheritedRegion) -> (any FaultHandler)?
    ) throws -> PagerCore {
        let link = PagerLink(reactor: reactor)
        let core = try PagerCore(
            reactor: reactor, kernel: kernel, configuration: configuration, link: link, isForeign: true)
        link.connect(core)
        for (piece, region) in inherited {
            let description = InheritedRegion(
                name: region.options.name, range: piece, offset: region.offset(of: piece.start),
                pageSize: region.pageSize, memory: region.memoryKind,
                handler: WatchedHandler.unwatched(region.handler))
            let family = RegionFamily(name: region.options.name, range: piece)
            let copy = RegionState(
                piece, of: region, at: piece.start, table: region.table.copied(region.pages(of: piece)),
                handler: core.watched(handlerFor(description) ?? RefusingHandler()), family: family)
            // The pages of one process cannot be moved to another.
            copy.operations.remove(.move)
            core.takeIn(copy)
            core.enlist(copy.family)
        }
        return core
    }
}

/// When to look next whether a process still lives. Nothing announces its end.
struct Liveness {
    /// An address of it, mapped or not.
    let page: AddressRange
    var backoff = Backoff(first: .milliseconds(20), limit: .seconds(1))
    var timer: TimerID?
}

extension PagerCore {
    /// Begins to look now and then whether the process whose memory this is still lives.
    func watchLife(of range: AddressRange?) {
        guard let range else { return closeSoon() }
        liveness = Liveness(page: AddressRange(start: range.start, byteCount: SystemPage.size))
        checkLiveness()
    }

    func checkLiveness() {
        guard lifecycle != .closed, let kernel, var liveness else { return }
        if let timer = liveness.timer { reactor.cancelTimer(timer) }
        if kernel.probe(liveness.page) == .processGone {
            return stop(because: .processExited("it is not running any more"))
        }
        liveness.timer = reactor.startTimer(after: liveness.backoff.next(), self)
        self.liveness = liveness
    }

    /// Looks at once which children have ended, because their descriptors are wanted.
    func probeChildren() {
        for child in children { child.core.value.checkLiveness() }
    }

    /// Closes when whoever is at work now is done.
    func closeSoon() {
        let core = LoopBound(self, on: reactor)
        reactor.execute { core.value.close() }
    }
}
