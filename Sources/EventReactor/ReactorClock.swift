/// A clock whose sleepers a reactor wakes; get it from ``Reactor/clock``.
///
/// It shows CLOCK_MONOTONIC, which stands still while the system is suspended. Any thread.
public struct ReactorClock: Clock {
    /// A point in time, of CLOCK_MONOTONIC.
    public struct Instant: InstantProtocol {
        /// Nanoseconds since some unspecified moment, the same for all processes until the next boot.
        public var nanoseconds: Int64

        /// Makes an instant from nanoseconds of CLOCK_MONOTONIC.
        public init(nanoseconds: Int64) {
            self.nanoseconds = nanoseconds
        }

        /// The instant that is `duration` later.
        public func advanced(by duration: Duration) -> Instant {
            let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.wholeNanoseconds)
            return Instant(nanoseconds: overflow ? (duration < .zero ? .min : .max) : sum)
        }

        /// How much later `other` is.
        public func duration(to other: Instant) -> Duration {
            .nanoseconds(other.nanoseconds) - .nanoseconds(nanoseconds)
        }

        /// Whether `lhs` is before `rhs`.
        public static func < (lhs: Instant, rhs: Instant) -> Bool {
            lhs.nanoseconds < rhs.nanoseconds
        }
    }

    fileprivate let reactor: Reactor

    /// The present (`clock_gettime(2)`).
    public var now: Instant { Instant(nanoseconds: SystemCall.monotonicNanoseconds()) }

    /// One nanosecond.
    public var minimumResolution: Duration { .nanoseconds(1) }

    /// Suspends the task until `deadline`; the tolerance is not made use of.
    ///
    /// - Throws: `CancellationError` if the task is cancelled, ``ReactorError/shutDown``.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        do throws(ReactorError) {
            try await reactor.loop.sleep(until: deadline.nanoseconds)
        } catch {
            // What users of clocks expect.
            if error.code == .cancelled { throw CancellationError() }
            throw error
        }
    }
}

extension Reactor {
    /// A clock whose sleepers this reactor wakes.
    public var clock: ReactorClock { ReactorClock(reactor: self) }
}
