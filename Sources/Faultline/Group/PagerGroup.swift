public import EventReactor

/// Pagers on all reactors of a group, and regions whose faults they serve together: one mapping, divided into stripes, each of
/// which belongs to one of them. Faults of stripes of different reactors are read, resolved and installed at the same time.
///
/// ```swift
/// let reactors = try ReactorGroup.start()
/// let group = try await PagerGroup(on: reactors)
/// let region = try await group.map(byteCount: 1 << 34, handler: handler)
/// ```
///
/// The same handler serves all stripes. It is called on the threads of several reactors, **at the same time**: what it shares
/// between calls needs a lock, or to be confined to an actor. `reactors.current` tells which one it runs on, for what must be
/// done there (a timer, a connection).
///
/// The pagers stand and fall together. When one stops, because of a failure whose policy is to stop, an error of its
/// descriptor, or because its reactor was shut down, so do the others: pages of all stripes that were never supplied raise SIGBUS
/// from then on, and every thread is let go.
///
/// Its methods may be called from any thread. Call ``shutdown(within:)`` at the end, before that of the reactors; a group that is
/// merely dropped, with all its regions, shuts down at once. See <doc:SeveralReactors>.
public final class PagerGroup: Sendable {
    /// The reactors.
    public let reactors: ReactorGroup
    /// The pagers: one on each reactor in the order of these, then the second of each, and so on. For statistics of each, and for
    /// regions that belong to one reactor only.
    public let pagers: [Pager]
    /// How many pagers each reactor has.
    public let pagersPerReactor: Int

    /// Opens a userfaultfd for each pager. Any thread; goes to the reactors' threads and back (userfaultfd(2), `UFFDIO_API`).
    ///
    /// - Parameters:
    ///   - reactors: where faults are read and handlers run.
    ///   - count: how many pagers each reactor has. The kernel looks at every thread that waits at a descriptor whenever it lets one
    ///     of them go, some 20 ns for each; where hundreds of threads wait for long, several descriptors share them.
    ///   - configuration: that of each pager; its number is appended to the name. Its closures are called on the
    ///     threads of all reactors, at the same time.
    /// - Throws: ``PagerError`` when permission is refused, or the configuration is not for a group: faults cannot be resolved
    ///   in-thread, forks, moves and unmappings are not followed, and write-protection is by messages.
    public init(
        on reactors: ReactorGroup, pagersPerReactor count: Int = 1,
        configuration: Pager.Configuration = Pager.Configuration()
    ) async throws(PagerError) {
        try Self.check(configuration)
        guard count > 0 else { throw PagerError(.badLayout, "each reactor needs a pager at least") }
        self.reactors = reactors
        pagersPerReactor = count
        var pagers: [Pager] = []
        do throws(PagerError) {
            for index in 0..<count * reactors.count {
                var own = configuration
                own.name += "-\(index)"
                let reactor = reactors.reactors[index % reactors.count]
                pagers.append(try await Pager(on: reactor, configuration: own))
            }
        } catch {
            for pager in pagers { await pager.shutdown() }
            throw error
        }
        self.pagers = pagers
        let bond = GroupBond(pagers)
        for pager in pagers {
            let isServing = await pager.reactor.run { pager.core.value.join(bond) }
            // Its reactor was shut down meanwhile.
            if !isServing { bond.isClosed(because: nil) }
        }
    }

    private static func check(_ configuration: Pager.Configuration) throws(PagerError) {
        guard configuration.resolution == .reactor else {
            throw PagerError(
                .unsupportedOperation,
                "threads that resolve their own faults need no group; choose the resolution .reactor, or a single Pager"
            )
        }
        guard configuration.events.isSubset(of: .remove) else {
            throw PagerError(
                .unsupportedOperation,
                "forks, moves and unmappings concern all stripes at once and cannot be followed by a group; "
                    + "ask for the event .remove at most, or use a single Pager")
        }
        guard configuration.writeProtection == .messages else {
            throw PagerError(
                .unsupportedOperation,
                "written pages are not tracked across stripes; leave the write-protection at .messages, or use a single Pager"
            )
        }
    }

    /// What all pagers have counted so far, together. Any thread; goes to the reactors' threads and back.
    public var statistics: PagerStatistics {
        get async {
            var sum = PagerStatistics()
            for pager in pagers { sum.add(await pager.statistics) }
            return sum
        }
    }

    /// Where the time of faults went so far, in all pagers together; nil unless it is measured
    /// (``Pager/Configuration/measuresLatency``). Any thread; goes to the reactors' threads and back.
    public var latencies: PagerLatencies? {
        get async {
            var sum: PagerLatencies?
            for pager in pagers {
                guard let own = await pager.latencies else { continue }
                sum = sum ?? PagerLatencies()
                sum?.add(own)
            }
            return sum
        }
    }

    /// Whether all pagers are reading faults. Any thread; goes to the reactors' threads and back.
    public var isServing: Bool {
        get async {
            for pager in pagers where await !pager.isServing { return false }
            return true
        }
    }

    /// Shuts all pagers down at the same time, and returns when they are: see ``Pager/shutdown(within:)``. Any task, several at a
    /// time, handlers included.
    ///
    /// - Parameter deadline: how long to wait for what is in flight, from now on. The first call's counts.
    public func shutdown(within deadline: Duration = .seconds(5)) async {
        for pager in pagers { pager.beginShutdown(within: deadline) }
        for pager in pagers { await pager.shutdown(within: deadline) }
    }

    /// Waits until the pagers have shut down. Any task, several at a time; does not begin a shutdown itself.
    ///
    /// - Throws: ``PagerError`` when one of them stopped by itself, and the others with it: because of a failure whose policy
    ///   is to stop, or an error of its descriptor.
    public func waitUntilStopped() async throws(PagerError) {
        var failure: PagerError?
        for pager in pagers {
            do throws(PagerError) { try await pager.waitUntilStopped() } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }
}
