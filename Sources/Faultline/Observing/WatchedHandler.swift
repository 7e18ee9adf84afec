import EventReactor
import Userfault

/// Tells a pager's observer, and takes the time, of what another handler does.
struct WatchedHandler: FaultHandler {
    let base: any FaultHandler
    let watch: HandlerWatch

    /// The handler as its owner knows it.
    static func unwatched(_ handler: any FaultHandler) -> any FaultHandler {
        (handler as? WatchedHandler)?.base ?? handler
    }

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        let call = watch.begin(request)
        do {
            guard let resolution = try base.resolveNow(request) else {
                // The same request goes on in a task.
                watch.pending = call
                return nil
            }
            watch.end(call, request, nil)
            return resolution
        } catch {
            watch.end(call, request, error)
            throw error
        }
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        let call = watch.takePending() ?? watch.begin(request)
        do {
            let resolution = try await base.resolve(request)
            watch.end(call, request, nil)
            return resolution
        } catch {
            watch.end(call, request, error)
            throw error
        }
    }
}

/// What the handlers of one pager tell. `begin` and what is pending are touched on the loop's thread only, where a pager asks
/// its handlers.
///
/// `@unchecked Sendable`: for that reason.
final class HandlerWatch: @unchecked Sendable {
    struct Call {
        let id: UInt64
        let start: Int64
    }

    let recorder: LatencyRecorder?
    private let observer: (any PagerObserver)?
    private var last: UInt64 = 0
    /// A call that the synchronous entry has handed on to a task, which begins before anything else is asked.
    var pending: Call?

    init(_ recorder: LatencyRecorder?, _ observer: (any PagerObserver)?) {
        self.recorder = recorder
        self.observer = observer
    }

    func takePending() -> Call? {
        defer { pending = nil }
        return pending
    }

    func begin(_ request: FaultRequest) -> Call {
        last += 1
        let call = Call(id: last, start: recorder?.now ?? 0)
        recorder?.asked(at: call.start, isFirst: request.attempt == 0 && !request.demand.isEmpty)
        observer?.requestBegan(call.id, request)
        return call
    }

    func end(_ call: Call, _ request: FaultRequest, _ error: (any Error)?) {
        recorder?.answered(askedAt: call.start)
        observer?.requestEnded(call.id, request, error: error)
    }
}
