/// What a serving loop counted in one run.
struct Counters: Equatable, Sendable {
    var messages: UInt64 = 0
    var reads: UInt64 = 0
    var copies: UInt64 = 0
    var wakes: UInt64 = 0
    /// Ioctls that resolve pages but are not copies: zero pages and the like.
    var otherIoctls: UInt64 = 0
    var bytes: UInt64 = 0
    var eexist: UInt64 = 0
    var eagain: UInt64 = 0
    var failures: UInt64 = 0

    var ioctls: UInt64 { copies + wakes + otherIoctls }
}

/// One run of one variant.
struct Sample {
    /// Pages touched in the measured time.
    var pages: Int
    /// Those and the pages touched before, to warm up: what `counters` are about.
    var served: Int
    /// First touch begun to last touch ended, nanoseconds.
    var elapsed: UInt64
    /// Nanoseconds per touch.
    var latency: Distribution
    /// When each touch ended, ascending, nanoseconds after the first began; kept only where a scenario plots it.
    var completions: [UInt64] = []
    var counters = Counters()
    var contextSwitches: UInt64 = 0
    var allocations: UInt64 = 0
}

/// Why a run does not count.
enum RunError: Error, CustomStringConvertible {
    /// The contents were not those of the source.
    case mismatch(String)
    /// The kernel or a library refused something.
    case failed(String)

    var description: String {
        switch self {
        case .mismatch(let sentence), .failed(let sentence): sentence
        }
    }
}
