import CLibevent
import EventReactor
import Glibc

/// A libevent loop such as a program may have already. Used from one thread at a time.
@safe final class HostLoop {
    private let base: OpaquePointer

    init() throws {
        guard let base = unsafe event_base_new() else { throw CannotMakeBase() }
        unsafe self.base = base
    }

    deinit {
        unsafe event_base_free(base)
    }

    struct CannotMakeBase: Error {}

    func attach(_ configuration: Reactor.Configuration = .init()) throws(ReactorError) -> Reactor {
        try unsafe Reactor.attached(to: base, configuration)
    }

    /// One iteration that does not wait.
    func iterate() {
        _ = unsafe event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK)
    }

    /// Iterations that wait, until `condition` holds.
    func run(until condition: () -> Bool) {
        while !condition() { _ = unsafe event_base_loop(base, EVLOOP_ONCE) }
    }

    /// How many events, of whomever, are in the base.
    var eventCount: Int {
        Int(unsafe event_base_get_num_events(base, UInt32(EVENT_BASE_COUNT_ADDED)))
    }

    /// Has `body` called by the base in its next iteration, as the host's own callbacks are.
    func once(_ body: @escaping () -> Void) {
        let call = unsafe Unmanaged.passRetained(Call(body)).toOpaque()
        var zero = timeval()
        _ = unsafe event_base_once(base, -1, Int16(EV_TIMEOUT), runCall, call, &zero)
    }
}

private final class Call {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}

private func runCall(_: CInt, _: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<Call>.fromOpaque(context).takeRetainedValue().body()
}

/// A thread of the test's own, joined at the end.
@safe final class TestThread {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () -> Void) {
        let context = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
        let status = unsafe pthread_create(
            &thread, nil,
            { context in
                if let context = unsafe context {
                    unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                }
                return nil
            }, context)
        precondition(status == 0, "pthread_create")
    }

    func join() {
        pthread_join(thread, nil)
    }

    /// A thread that nobody joins.
    static func detach(_ body: @escaping @Sendable () -> Void) {
        pthread_detach(TestThread(body).thread)
    }
}

/// Runs `body` on a thread of its own, so that no thread of the pool is taken for a loop's, and waits for it without
/// blocking one: there may be as few as two.
func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { continuation in
        TestThread.detach {
            continuation.resume(with: Result { try body() })
        }
    }
}

/// Lets other threads run.
func yieldThread() {
    sched_yield()
}
