import EventReactor

/// The way from a handler's task back to the pager it belongs to.
///
/// `@unchecked`: `core` is touched on the loop's thread only, which every method makes sure of.
final class PagerLink: @unchecked Sendable {
    private let reactor: Reactor
    private var core: PagerCore?

    init(reactor: Reactor) { self.reactor = reactor }

    /// Loop's thread only.
    func connect(_ core: PagerCore) { self.core = core }

    /// Loop's thread only; breaks the cycle between pager and link when the pager closes.
    func forget() { core = nil }

    /// Called by the task of a request, which runs on the loop's thread.
    func finish(_ ticket: RequestTicket, _ resolution: Resolution) {
        precondition(reactor.isOnLoop)
        ticket.runner = nil
        core?.finish(ticket, resolution)
    }

    /// Called by the task of a request, which runs on the loop's thread.
    func fail(_ ticket: RequestTicket, _ error: any Error) {
        precondition(reactor.isOnLoop)
        ticket.runner = nil
        core?.fail(ticket, error)
    }

    /// Whether the pager has a use for one more idle runner.
    var hasRoom: Bool { core.map { $0.idleRunners.count < PagerCore.idleRunnerLimit } ?? false }

    func putAside(_ runner: HandlerRunner) { core?.idleRunners.append(runner) }

    /// Loop's thread only.
    func end(because error: PagerError) { core?.stop(because: error) }

    /// Any thread.
    func supply(_ part: Resolution, to ticket: RequestTicket) async throws(PagerError) {
        try await reactor.run { () throws(PagerError) in
            guard let core = self.core else { throw PagerError.shutDown() }
            try core.supply(part, to: ticket)
        }
    }
}
