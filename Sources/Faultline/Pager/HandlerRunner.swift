import EventReactor

/// A task that runs handlers, one request after the other. Making a task for each request costs more than calling its
/// handler; a runner is made when all others are suspended in one.
///
/// `@unchecked Sendable`: what can change is touched on the loop's thread only.
final class HandlerRunner: @unchecked Sendable {
    private let recall: Recall
    private let link: PagerLink
    /// The request to run next; nil for the end.
    private var ticket: RequestTicket?
    private var task: Task<Void, Never>?

    init(_ reactor: Reactor, _ link: PagerLink) {
        recall = Recall(reactor)
        self.link = link
    }

    /// Runs the handler for a request, here and now until it suspends. Loop's thread; only in the beginning, and when
    /// the runner has been put aside.
    func run(_ ticket: RequestTicket, on reactor: Reactor) {
        self.ticket = ticket
        ticket.runner = self
        if task == nil {
            task = Task.immediate(executorPreference: reactor.handlerExecutor) { await self.runAll() }
        } else {
            recall.resume()
        }
    }

    /// Ends a runner that has been put aside.
    func end() {
        ticket = nil
        recall.resume()
    }

    /// Cancels the task; it will not be used again.
    func cancel() { task?.cancel() }

    nonisolated(nonsending) private func runAll() async {
        while ticket != nil {
            // Nothing of a request may outlive it: its ticket keeps its region, and that its handler.
            if let ticket {
                self.ticket = nil
                do {
                    let resolution = try await ticket.region.handler.resolve(ticket.request)
                    link.finish(ticket, resolution)
                } catch {
                    link.fail(ticket, error)
                }
            }
            guard !Task.isCancelled, link.hasRoom else { return }
            await recall.wait { link.putAside(self) }
        }
    }
}
