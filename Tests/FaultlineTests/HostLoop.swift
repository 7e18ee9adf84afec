import CLibevent
import EventReactor
import FaultlineTestKit
import Synchronization

/// A libevent loop such as a program may have already, on a thread of its own, with a reactor inside.
final class HostLoop: Sendable {
    struct CannotMakeBase: Error {}

    private let isStopped = Atomic(false)
    private let callbacks = Atomic(0)

    /// How often the host's own callback has been called.
    var callbackCount: Int { callbacks.load(ordering: .sequentiallyConsistent) }

    /// Runs `body` while a thread runs the loop.
    static func run<T: Sendable>(_ body: (HostLoop, Reactor) async throws -> T) async throws -> T {
        let host = HostLoop()
        let (reactors, continuation) = AsyncStream.makeStream(of: Result<Reactor, any Error>.self)
        let thread = FaultingThread {
            host.drive { continuation.yield($0) }
            continuation.finish()
        }
        var iterator = reactors.makeAsyncIterator()
        guard let reactor = try await iterator.next()?.get() else { throw CannotMakeBase() }
        let result: Result<T, any Error>
        do { result = .success(try await body(host, reactor)) } catch { result = .failure(error) }
        // On the loop, so that the host looks at it.
        reactor.execute { host.isStopped.store(true, ordering: .sequentiallyConsistent) }
        await thread.value
        return try result.get()
    }

    private func drive(_ ready: (Result<Reactor, any Error>) -> Void) {
        guard let base = unsafe event_base_new() else { return ready(.failure(CannotMakeBase())) }
        defer { unsafe event_base_free(base) }
        do {
            let reactor = try unsafe Reactor.attached(to: base)
            let context = unsafe Unmanaged.passUnretained(self).toOpaque()
            guard let tick = unsafe event_new(base, -1, Int16(EV_PERSIST), runTick, context) else {
                throw CannotMakeBase()
            }
            defer { unsafe event_free(tick) }
            var interval = timeval(tv_sec: 0, tv_usec: 1000)
            _ = unsafe event_add(tick, &interval)
            ready(.success(reactor))
            while !isStopped.load(ordering: .sequentiallyConsistent) {
                _ = unsafe event_base_loop(base, EVLOOP_ONCE)
            }
            try reactor.detach()
        } catch {
            ready(.failure(error))
        }
    }

    fileprivate func tick() { callbacks.add(1, ordering: .sequentiallyConsistent) }
}

private func runTick(_: CInt, _: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<HostLoop>.fromOpaque(context).takeUnretainedValue().tick()
}
