/// How a reactor waits when nothing is left to do; see ``Reactor/Configuration/waiting``.
public struct WaitingStrategy: Hashable, Sendable {
    /// Nanoseconds for which a wait may look for work before it blocks; 0 if it blocks at once.
    let spinLimit: Int64

    private init(spinLimit: Int64) {
        self.spinLimit = spinLimit
    }

    /// Sleeps in `epoll_wait(2)` until there is something to do. Uses no time of the processor while it waits.
    public static let blocking = WaitingStrategy(spinLimit: 0)

    /// Keeps looking for work for a bounded time (`epoll_wait(2)` without a timeout), and sleeps if none has come by then.
    ///
    /// Pays with time of a processor for latency: what comes meanwhile finds the loop awake, where waking it takes some
    /// 5 µs, or 10 to 30 µs where it slept on a processor that had gone idle. That pays if what brings the work runs on
    /// another processor; on the same one there is nothing to gain.
    ///
    /// The reactor learns from how long its waits last. It looks for a small multiple of what it expects, and at most
    /// for `limit`. When work comes too seldom, it looks in ever fewer of its waits, then in none; it notices when
    /// work comes more often again. An idle reactor therefore uses no time of the processor, whatever the limit.
    ///
    /// - Parameter limit: how long one wait may look at most, a second at most; ``blocking`` if it is zero or less.
    ///   A limit that is much shorter than waking the loop takes may never be tried, because the waits in which the loop
    ///   slept seem too long.
    public static func spinning(upTo limit: Duration = .microseconds(50)) -> WaitingStrategy {
        WaitingStrategy(spinLimit: min(max(limit.wholeNanoseconds, 0), SpinBudget.longestLimit))
    }
}
