import EventReactor
import Faultline

/// Answers without suspending, but through the async entry.
struct AsyncHandler: FaultHandler {
    var source: PageSource

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        .copy(from: source, at: request.offset)
    }
}

/// Suspends once before it answers, and is resumed by a job of the loop.
struct SuspendingHandler: FaultHandler {
    var source: PageSource
    var reactor: Reactor

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        await withCheckedContinuation { continuation in
            reactor.execute { continuation.resume() }
        }
        return .copy(from: source, at: request.offset)
    }
}
