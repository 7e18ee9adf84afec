/// A repeating timer: an element per period, made by ``Reactor/ticks(every:)``.
///
/// The ticks keep to the beat of the first one and do not drift. A consumer that comes late gets one tick that
/// says how many it has missed; ticks never queue up. The sequence ends when the task is cancelled or the reactor
/// shuts down.
public struct TickSequence: AsyncSequence, Sendable {
    /// One tick.
    public struct Tick: Hashable, Sendable {
        /// When it was due.
        public var due: ReactorClock.Instant
        /// How many before it passed unseen since the last one.
        public var missed: Int
    }

    /// Waits for one tick after the other. Nothing runs while nobody waits.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let reactor: Reactor
        fileprivate let period: Int64
        fileprivate var due: Int64

        /// The next tick, or `nil` after cancellation or shutdown.
        public mutating func next() async -> Tick? {
            await next(isolation: nil)
        }

        /// The next tick, or `nil` after cancellation or shutdown.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> Tick? {
            do throws(ReactorError) {
                try await reactor.loop.sleep(until: due)
            } catch {
                return nil
            }
            let missed = Swift.max(SystemCall.monotonicNanoseconds() - due, 0) / period
            let last = due + missed * period
            due = last + period
            return Tick(due: .init(nanoseconds: last), missed: Int(missed))
        }
    }

    fileprivate let reactor: Reactor
    fileprivate let period: Int64

    /// Starts the beat: the first tick is due one period from now.
    public func makeAsyncIterator() -> Iterator {
        Iterator(
            reactor: reactor, period: period, due: SystemCall.monotonicNanoseconds() + period)
    }
}

extension Reactor {
    /// A repeating timer. Any thread; does not block. Traps if `period` is not positive.
    public func ticks(every period: Duration) -> TickSequence {
        let nanoseconds = period.wholeNanoseconds
        precondition(nanoseconds > 0, "a period is positive")
        return TickSequence(reactor: self, period: nanoseconds)
    }
}
