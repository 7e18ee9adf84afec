/// The seed of a randomized test: a new one in every run, or `FAULTLINE_TEST_SEED` where that is set. Put it into every
/// failure's message, so that the run can be repeated.
public struct TestSeed: Hashable, Sendable, CustomStringConvertible {
    /// The seed.
    public let value: UInt64

    /// A seed from the environment, or else from the system. Any thread.
    public init() {
        value =
            ThreadCalls.environment("FAULTLINE_TEST_SEED").flatMap { UInt64($0) } ?? .random(in: 0 ... .max)
    }

    /// How to repeat the run.
    public var description: String { "repeat with FAULTLINE_TEST_SEED=\(value)" }
}

/// Random numbers that a seed repeats (splitmix64).
public struct TestRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// The numbers of `seed`; streams with different numbers have nothing to do with each other.
    public init(_ seed: TestSeed, stream: UInt64 = 0) {
        state = seed.value &+ stream &* 0xD1B5_4A32_D192_ED03
    }

    /// The next number.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// A number from 0 to `limit` - 1.
    public mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }

    /// True `percent` times in a hundred.
    public mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// A range within 0..<`limit`, short more often than long, and sometimes empty.
    public mutating func range(within limit: Int) -> Range<Int> {
        let longest = chance(70) ? min(limit, 8) : limit
        let count = below(longest + 1)
        let start = below(limit - count + 1)
        return start..<start + count
    }
}
