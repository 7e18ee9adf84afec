import Synchronization

/// Signals that reach the process, as an asynchronous sequence. Made by ``Reactor/signals(_:isolation:)``.
///
/// ```swift
/// for await delivery in try await reactor.signals(SIGTERM, SIGINT) {
///     print("signal \(delivery.signal)")
///     break
/// }
/// ```
///
/// While the stream lives, its signals do nothing else: their handlers are libevent's (`sigaction(2)`). The former
/// dispositions return when the last stream for a signal is cancelled or released, or the reactor shuts down.
/// Several streams of one reactor may ask for the same signal; each gets it. Any thread may call everything here.
/// The stream keeps its reactor alive.
public final class SignalStream: AsyncSequence, Sendable {
    /// One or more signals of one number.
    public struct Delivery: Hashable, Sendable {
        /// The number, such as `SIGTERM`.
        public var signal: CInt
        /// How often it came since the last delivery of that number; the kernel merges what comes close together,
        /// so that it may have been sent more often.
        public var count: Int
    }

    /// The reactor that receives the signals.
    public let reactor: Reactor
    private let core: SignalCore

    init(_ reactor: Reactor, _ core: SignalCore) {
        self.reactor = reactor
        self.core = core
    }

    deinit {
        let core = self.core
        if !core.isClosed.load(ordering: .relaxed) { core.loop.perform { core.close(.closed) } }
    }

    /// Waits for a signal. Several tasks may wait; each delivery goes to one of them.
    ///
    /// - Throws: `closed` after ``cancel()``, `cancelled`, `shutDown`; after what came before has been received.
    public func receive(isolation: isolated (any Actor)? = #isolation) async throws(ReactorError) -> Delivery
    {
        if core.loop.isOnLoop, !Task.isCancelled, let result = core.receiveNow() { return try result.get() }
        return try await ReceiveOperation(core).complete(isolation: isolation)
    }

    /// Gives the signals back their former dispositions, and returns when that is done. Tasks that wait are resumed
    /// with `closed`. Further calls have no effect.
    public func cancel() async {
        let core = self.core
        await reactor.run { core.close(.closed) }
    }

    /// Several iterators share the deliveries among them.
    public func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

    /// Waits for one delivery after the other.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let stream: SignalStream

        /// The next delivery, or `nil` after cancellation or shutdown.
        public mutating func next() async -> Delivery? {
            await next(isolation: nil)
        }

        /// The next delivery, or `nil` after cancellation or shutdown.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> Delivery? {
            do throws(ReactorError) {
                return try await stream.receive(isolation: actor)
            } catch {
                return nil
            }
        }
    }
}

extension Reactor {
    /// Receives signals. Any thread; goes to the loop thread and back (`sigaction(2)`).
    ///
    /// libevent serves the signals of one event loop per process: ask for all of them on one reactor. A loop of
    /// libevent outside of this library that receives signals cannot be noticed here. A signal that every thread of
    /// the process blocks is never received; a reactor's own thread blocks all, so that another one has to leave it
    /// unblocked, which the main thread usually does.
    ///
    /// - Parameters:
    ///   - numbers: such as `SIGTERM`; at least one. Not `SIGKILL` and `SIGSTOP`, nor those that a thread
    ///     brings upon itself by a mistake, such as `SIGSEGV`.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Throws: `signalsInUse` if another reactor of the process receives signals, `badSignal`, `shutDown`,
    ///   `system`.
    public func signals(
        _ numbers: CInt..., isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> SignalStream {
        guard !numbers.isEmpty, numbers.allSatisfy(SystemCall.canReceiveSignal) else {
            throw ReactorError(.badSignal)
        }
        return try await run { () throws(ReactorError) in
            SignalStream(self, try SignalCore(self.loop, numbers))
        }
    }
}
