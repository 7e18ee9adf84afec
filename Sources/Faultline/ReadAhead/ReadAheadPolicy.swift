/// How far a region is filled ahead of the threads that read it.
///
/// Requests are widened to pages that are likely to be asked for next (``FaultRequest/range``), so that a handler fills them
/// with the same answer. What is likely is learned from the faults, for each of several readers of a region at a time:
/// upwards, downwards, or in strides. Pages that are there, or being supplied already, are never asked for again. How far
/// ahead of a reader pages are filled doubles as long as it goes on, and sinks where they turn out not to have been needed.
public struct ReadAheadPolicy: Hashable, Sendable {
    /// The most bytes that are filled ahead of one fault; rounded down to pages.
    public var maximumByteCount: Int
    /// The most bytes of the region that may be in flight for read-ahead to add to them; for handlers that take their time.
    public var budgetByteCount: Int

    /// Only what somebody waits for. The default.
    public static let none = ReadAheadPolicy(maximumByteCount: 0, budgetByteCount: 0)
    /// Up to 2 MiB ahead of each reader.
    public static let adaptive = adaptive(upTo: 2 << 20)

    /// Up to `byteCount` bytes ahead of each reader, and eight times that in all.
    public static func adaptive(upTo byteCount: Int) -> ReadAheadPolicy {
        let maximum = min(max(byteCount, 0), Int.max / 8)
        return ReadAheadPolicy(maximumByteCount: maximum, budgetByteCount: maximum * 8)
    }

    /// A policy of one's own; negative numbers count as zero.
    public init(maximumByteCount: Int, budgetByteCount: Int) {
        self.maximumByteCount = max(maximumByteCount, 0)
        self.budgetByteCount = max(budgetByteCount, 0)
    }
}

/// What a program says about how it will read a region, as with madvise(2): see ``ServedRegion/advise(_:)``.
public enum AccessAdvice: Hashable, Sendable {
    /// Find out from the faults.
    case normal
    /// From lower to higher addresses: run far ahead from the first fault on.
    case sequential
    /// In no order: nothing is filled ahead.
    case random
}
