/// How often something took how long: counts in buckets whose width grows with what they hold, so that a value is known to
/// within an eighth of itself, from nanoseconds to hours.
///
/// A value: copies do not change any more. Recording neither allocates nor looks at the clock.
public struct LatencyHistogram: Hashable, Sendable {
    /// Each power of two is divided into as many buckets.
    private static let parts = 8
    private static let partBits = 3
    /// From 2^43 nanoseconds, some two and a half hours, on everything counts as that.
    private static let bucketCount = (43 - partBits + 1) * parts

    private var counts: [UInt64]
    /// How many were recorded.
    public private(set) var count: UInt64 = 0
    /// All of them together.
    public private(set) var total: Duration = .zero
    /// The longest one; zero if there is none.
    public private(set) var maximum: Duration = .zero

    /// An empty histogram; allocates 2.6 KiB.
    public init() {
        counts = [UInt64](repeating: 0, count: Self.bucketCount)
    }

    /// Adds a duration. What is negative counts as zero.
    public mutating func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        record(
            nanoseconds: nanoseconds.overflow ? .max : nanoseconds.partialValue &+ attoseconds / 1_000_000_000
        )
    }

    mutating func record(nanoseconds: Int64) {
        let value = max(nanoseconds, 0)
        counts[Self.bucket(of: value)] += 1
        count += 1
        total += .nanoseconds(value)
        if .nanoseconds(value) > maximum { maximum = .nanoseconds(value) }
    }

    /// The duration that a part of all recorded ones does not exceed: the upper end of its bucket, but never more than the
    /// longest one. Zero if there is none.
    ///
    /// - Parameter part: from 0 to 1; what is outside of that counts as the nearer end.
    public func quantile(_ part: Double) -> Duration {
        guard count > 0 else { return .zero }
        let part = part.isNaN ? 1 : min(max(part, 0), 1)
        let rank = max(UInt64((Double(count) * part).rounded(.up)), 1)
        var seen: UInt64 = 0
        for (index, count) in counts.enumerated() {
            seen += count
            if seen >= rank { return min(.nanoseconds(Self.upperBound(of: index)), maximum) }
        }
        return maximum
    }

    /// How many took no longer than `limit`, to within a bucket.
    public func count(upTo limit: Duration) -> UInt64 {
        var sum: UInt64 = 0
        for (index, count) in counts.enumerated() {
            guard .nanoseconds(Self.upperBound(of: index)) <= limit else { break }
            sum += count
        }
        return limit >= maximum ? self.count : sum
    }

    /// Adds what another one has recorded.
    public mutating func add(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        count += other.count
        total += other.total
        maximum = max(maximum, other.maximum)
    }

    private static func bucket(of value: Int64) -> Int {
        let value = UInt64(value)
        guard value >= parts else { return Int(value) }
        let exponent = 63 - value.leadingZeroBitCount
        let part = Int(value >> UInt64(exponent - partBits)) & (parts - 1)
        return min((exponent - partBits + 1) * parts + part, bucketCount - 1)
    }

    /// The largest value of a bucket.
    private static func upperBound(of bucket: Int) -> Int64 {
        guard bucket >= parts else { return Int64(bucket) }
        guard bucket < bucketCount - 1 else { return .max }
        let (row, part) = bucket.quotientAndRemainder(dividingBy: parts)
        return Int64(parts + part + 1) << Int64(row - 1) - 1
    }
}
