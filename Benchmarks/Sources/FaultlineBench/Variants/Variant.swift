/// A way to serve page faults, with a name.
protocol Variant: Sendable {
    var name: String { get }

    /// Maps a region, has it served from `work.source`, and returns when that is ready.
    func start(_ work: ServingWork) async throws -> any RunningServer
}

/// What a server is to do.
struct ServingWork: Sendable {
    /// The contents of the region, byte for byte.
    var source: Contents
    /// The CPU of the serving thread, or -1.
    var cpu: Int32
}

/// A region that is being served.
protocol RunningServer: Sendable {
    /// The address of the region.
    var base: UInt { get }

    /// Where each page lies, if they do not follow each other from `base` on.
    var addresses: [UInt]? { get }

    /// Told when the threads are let go, before they are: what the variant begins then is part of the measured time.
    func begin()

    /// What a page cost that no thread waited for, where that is what the variant is about.
    var nanosecondsPerPage: Double? { get }

    /// Ends the serving, unmaps the region and says what was done.
    func stop() async throws -> Counters
}

extension RunningServer {
    var addresses: [UInt]? { nil }
    func begin() {}
    var nanosecondsPerPage: Double? { nil }
}

/// A way to serve faults, sockets and a timer in one loop.
protocol MixedVariant: Sendable {
    var name: String { get }

    func start(_ work: MixedWork) async throws -> any RunningMixed
}

/// What a mixed loop is to do.
struct MixedWork: Sendable {
    var source: Contents
    var cpu: Int32
    /// Of the repeating timer, nanoseconds.
    var interval: UInt64
    /// How many ticks to record at most.
    var tickLimit: Int
}

/// A loop that serves faults, an echo server on loopback and a timer.
protocol RunningMixed: Sendable {
    var base: UInt { get }
    /// Of the echo server on 127.0.0.1.
    var port: UInt16 { get }

    func stop() async throws -> MixedOutcome
}

/// What a mixed loop did.
struct MixedOutcome: Sendable {
    var counters: Counters
    /// Nanoseconds each tick was late.
    var lateness: [UInt64]
}
