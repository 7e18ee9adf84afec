/// Delays that double up to a limit.
package struct Backoff: Sendable {
    package let first: Duration
    package let limit: Duration
    private var current: Duration

    package init(first: Duration, limit: Duration) {
        self.first = first
        self.limit = limit
        current = first
    }

    package mutating func next() -> Duration {
        let delay = current
        current = min(current * 2, limit)
        return delay
    }

    package mutating func reset() { current = first }
}
