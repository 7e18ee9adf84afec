/// What becomes of the threads that wait for pages whose handler failed.
///
/// The owner is told of every failure through ``Pager/Configuration/onFailure``, whatever the policy.
public struct FailurePolicy: Hashable, Sendable {
    /// The end of the road, when nothing is left to try.
    public enum Fallback: Hashable, Sendable {
        /// The pages are poisoned: their threads get SIGBUS, system calls `EFAULT`. The rest goes on.
        case poison
        /// The pager stops: every page that is not there is sealed in the same way, every thread let go.
        case stop
    }

    /// How often the handler is asked again before the fallback; not negative.
    public var retryLimit: Int
    /// The pause before the first retry; each further one is twice as long, up to ``maximumDelay``.
    public var initialDelay: Duration
    /// The longest pause between two retries.
    public var maximumDelay: Duration
    /// What happens when the retries are used up.
    public var fallback: Fallback

    /// Poison at the first failure. The default.
    public static let poison = FailurePolicy(retryLimit: 0, fallback: .poison)
    /// Stop the pager at the first failure.
    public static let stop = FailurePolicy(retryLimit: 0, fallback: .stop)

    /// Ask the handler up to `limit` times more, with growing pauses, then fall back. The threads wait meanwhile, and
    /// other pages are served.
    ///
    /// - Parameters:
    ///   - limit: how often to ask again.
    ///   - initialDelay: the first pause.
    ///   - maximumDelay: the longest pause: they double up to it.
    ///   - fallback: what happens after the last failure.
    public static func retry(
        limit: Int, initialDelay: Duration = .milliseconds(1), maximumDelay: Duration = .seconds(1),
        then fallback: Fallback = .poison
    ) -> FailurePolicy {
        FailurePolicy(
            retryLimit: limit, initialDelay: initialDelay, maximumDelay: maximumDelay, fallback: fallback)
    }

    private init(
        retryLimit: Int, initialDelay: Duration = .milliseconds(1), maximumDelay: Duration = .seconds(1),
        fallback: Fallback
    ) {
        self.retryLimit = max(retryLimit, 0)
        self.initialDelay = initialDelay
        self.maximumDelay = maximumDelay
        self.fallback = fallback
    }

    /// The pause before the retry that follows failure number `failures`, counted from one.
    func delay(afterFailure failures: Int) -> Duration {
        var backoff = Backoff(first: initialDelay, limit: maximumDelay)
        var delay = backoff.next()
        for _ in 1..<max(failures, 1) where delay < maximumDelay { delay = backoff.next() }
        return delay
    }
}
