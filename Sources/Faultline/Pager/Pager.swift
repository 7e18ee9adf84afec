public import EventReactor
public import Userfault

/// Serves the page faults of its regions: reads them from a userfaultfd on a reactor, asks the regions' handlers, and
/// installs the answers with as few system calls as they allow.
///
/// A pager has one descriptor and lives on one reactor; it may have any number of regions. Its methods may be called
/// from any thread. Call ``shutdown(within:)`` at the end; a pager that is merely dropped, with all its regions, shuts
/// down at once.
public final class Pager: Sendable {
    /// The reactor it lives on.
    public let reactor: Reactor
    /// How its descriptor was had, or nil when it was given.
    public let access: Userfaultfd.Access?
    /// What the kernel offers on this descriptor.
    public let features: Features
    let core: LoopBound<PagerCore>

    /// Opens a userfaultfd and puts it on `reactor`: by the device node, the system call, or, as the last resort, for
    /// faults in user mode only (see ``access``; system calls that touch missing pages then fail with `EFAULT`).
    /// Any thread; goes to the reactor's thread and back (userfaultfd(2), `UFFDIO_API`).
    ///
    /// - Parameters:
    ///   - reactor: where faults are read and handlers run. It may serve sockets, timers and other pagers too.
    ///   - configuration: names, budgets, and who is told of failures.
    /// - Throws: ``PagerError``; when permission is refused, for the descriptor or for fork events, its text says what to do.
    public convenience init(
        on reactor: Reactor, configuration: Configuration = Configuration()
    ) async throws(PagerError) {
        let isInThread = configuration.resolution == .inThread
        var wanted: Features = [.poison, .writeProtectUnpopulated]
        if configuration.writeProtection == .asynchronousWherePossible {
            wanted.insert(.asynchronousWriteProtect)
        }
        if configuration.reportsThreadIDs, !isInThread { wanted.insert(.threadID) }
        let descriptor: Userfaultfd
        do {
            var required = configuration.events.features
            if isInThread { required.insert(.sigbus) }
            descriptor = try Userfaultfd(requiring: required, requesting: wanted)
        } catch {
            throw PagerError(error)
        }
        try await self.init(on: reactor, descriptor: descriptor, configuration: configuration)
    }

    /// A pager on a descriptor of the caller's making, which it closes in the end. Any thread; goes to the reactor's
    /// thread and back.
    ///
    /// - Parameters:
    ///   - reactor: where faults are read and handlers run.
    ///   - descriptor: enabled, and of this process. With `Features.sigbus`, and without events, for
    ///     ``ResolutionMode/inThread``; without it otherwise.
    ///   - configuration: as above; `reportsThreadIDs` and `events` have no effect, the descriptor's features count, except
    ///     that in-thread `reportsThreadIDs` has.
    /// - Throws: ``PagerError`` when the descriptor's features do not fit, the reactor has been shut down, or the thread that
    ///   reads events cannot be started.
    public convenience init(
        on reactor: Reactor, descriptor: consuming Userfaultfd, configuration: Configuration = Configuration()
    ) async throws(PagerError) {
        let access = descriptor.access
        try await self.init(
            on: reactor, kernel: Self.kernel(descriptor, configuration), access: access,
            configuration: configuration)
    }

    package convenience init(
        on reactor: Reactor, kernel: any FaultKernel, access: Userfaultfd.Access?,
        configuration: Configuration
    ) async throws(PagerError) {
        try await self.init(
            on: reactor, kernel: kernel, access: access, configuration: configuration, isForeign: false
        ) { _ in }
    }

    /// - Parameters:
    ///   - isForeign: whether the descriptor is of another process.
    ///   - prepare: what to do before the first fault is read; on the loop's thread.
    init(
        on reactor: Reactor, kernel: any FaultKernel, access: Userfaultfd.Access?,
        configuration: Configuration, isForeign: Bool,
        prepare: @Sendable (PagerCore) throws(PagerError) -> Void
    ) async throws(PagerError) {
        self.reactor = reactor
        self.access = access
        features = kernel.features
        core = try await reactor.run { () throws(PagerError) in
            guard !isForeign || configuration.resolution == .reactor else {
                throw PagerError(
                    .unsupportedOperation, "threads of another process cannot resolve faults; choose .reactor"
                )
            }
            let link = PagerLink(reactor: reactor)
            let core: PagerCore
            do {
                core = try PagerCore(
                    reactor: reactor, kernel: kernel, configuration: configuration, link: link,
                    isForeign: isForeign)
            } catch {
                throw PagerError(.reactor, "\(error)")
            }
            link.connect(core)
            do throws(PagerError) {
                core.isPreparing = true
                try prepare(core)
                core.isPreparing = false
            } catch {
                core.close()
                throw error
            }
            return LoopBound(core, on: reactor)
        }
    }

    /// A pager made on the reactor's thread.
    init(_ core: PagerCore, reactor: Reactor, features: Features) {
        self.reactor = reactor
        self.features = features
        access = nil
        self.core = LoopBound(core, on: reactor)
    }

    deinit {
        let core = self.core
        reactor.execute { core.value.close() }
    }

    /// What has been counted so far. Any thread; goes to the reactor's thread and back.
    public var statistics: PagerStatistics {
        get async {
            await reactor.run { [core] in core.value.snapshot() }
        }
    }

    /// Whether faults are being read: neither a shutdown nor a failure has begun to end the pager. Any thread; goes to
    /// the reactor's thread and back.
    public var isServing: Bool {
        get async {
            await reactor.run { [core] in core.value.lifecycle == .serving }
        }
    }

    /// Stops reading faults, waits for what is in flight, but no longer than `deadline`, and closes: handlers that are
    /// still at work are cancelled, pages that were never supplied raise SIGBUS from then on rather than read as zero,
    /// every thread is let go. Returns when that is done; at once if it was done before. Any task, several at a time,
    /// handlers included.
    ///
    /// - Parameter deadline: how long to wait for what is in flight, from now on. The first call's counts.
    public func shutdown(within deadline: Duration = .seconds(5)) async {
        await withCheckedContinuation { continuation in
            reactor.execute { [core] in
                core.value.notifyWhenClosed(continuation)
                core.value.drain(within: deadline)
            }
        }
    }

    /// Begins what ``shutdown(within:)`` waits for. Any thread.
    func beginShutdown(within deadline: Duration) {
        reactor.execute { [core] in core.value.drain(within: deadline) }
    }

    /// Waits until the pager has shut down. Any task, several at a time; does not begin a shutdown itself.
    ///
    /// - Throws: ``PagerError`` when it stopped by itself: because of a failure whose policy is to stop, or an error of
    ///   its descriptor.
    public func waitUntilStopped() async throws(PagerError) {
        await withCheckedContinuation { continuation in
            reactor.execute { [core] in core.value.notifyWhenClosed(continuation) }
        }
        let error = await reactor.run { [core] in core.value.stopError }
        if let error { throw error }
    }

    func onCore<T: Sendable>(
        _ body: @Sendable (PagerCore, Pager) throws(PagerError) -> T
    ) async throws(PagerError) -> T {
        try await reactor.run { () throws(PagerError) in try body(core.value, self) }
    }
}
