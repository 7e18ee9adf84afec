public import EventReactor
public import Faultline

/// Choices for reactors, pagers and regions, read from environment variables, all of them checked.
///
/// ```swift
/// let settings = try EnvironmentSettings(ProcessInfo.processInfo.environment)
/// let reactor = try Reactor.start(settings.reactor)
/// let pager = try await Pager(on: reactor, configuration: settings.pager)
/// ```
///
/// What is not set keeps its default. A variable that begins with the prefix and means nothing here is refused, as is a value
/// that cannot be: a misspelt setting should not go unnoticed. See ``Variable`` for what there is. Any thread; pure.
public struct EnvironmentSettings: Sendable {
    /// For the reactor.
    public private(set) var reactor: Reactor.Configuration
    /// For pagers.
    public private(set) var pager: Pager.Configuration
    /// For regions.
    public private(set) var region: RegionOptions

    /// Reads settings.
    ///
    /// - Parameters:
    ///   - environment: the variables; those without the prefix are passed over.
    ///   - prefix: what the names begin with.
    ///   - reactor: the values of what is not set.
    ///   - pager: the values of what is not set.
    ///   - region: the values of what is not set.
    /// - Throws: ``SettingError`` for the first variable, in the order of their names, that is refused.
    public init(
        _ environment: [String: String], prefix: String = "FAULTLINE_",
        reactor: Reactor.Configuration = Reactor.Configuration(),
        pager: Pager.Configuration = Pager.Configuration(), region: RegionOptions = RegionOptions()
    ) throws(SettingError) {
        self.reactor = reactor
        self.pager = pager
        self.region = region
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix(prefix) {
            guard let variable = Variable(rawValue: String(name.dropFirst(prefix.count))) else {
                let known = Variable.allCases.map { prefix + $0.rawValue }.joined(separator: ", ")
                throw SettingError(name: name, value: value, expected: "one of \(known)", isUnknown: true)
            }
            guard apply(variable, value) else {
                throw SettingError(name: name, value: value, expected: variable.expectation, isUnknown: false)
            }
        }
    }

    /// A setting, by its name after the prefix.
    public enum Variable: String, CaseIterable, Hashable, Sendable {
        /// How long the reactor looks for work before it blocks: a duration; 0 to block at once.
        case spin = "SPIN"
        /// From when on a stall is reported: a duration.
        case stallThreshold = "STALL_THRESHOLD"
        /// `immediate`, `end-of-turn` or `adaptive`: `WakePolicy`.
        case wakePolicy = "WAKE_POLICY"
        /// A duration: `Pager.Configuration.gatherDelay`.
        case gatherDelay = "GATHER_DELAY"
        /// From 1 to 4096: `Pager.Configuration.messagesPerRead`.
        case messagesPerRead = "MESSAGES_PER_READ"
        /// From 1 to 1024: `Pager.Configuration.readsPerTurn`.
        case readsPerTurn = "READS_PER_TURN"
        /// `reactor` or `in-thread`: `ResolutionMode`.
        case resolution = "RESOLUTION"
        /// `true` or `false`: `Pager.Configuration.measuresLatency`.
        case measuresLatency = "MEASURES_LATENCY"
        /// The most bytes to read ahead, 0 for none: `ReadAheadPolicy`.
        case readAhead = "READ_AHEAD"
        /// From 1 to 65,536: `RegionOptions.maximumRequestPages`.
        case maximumRequestPages = "MAXIMUM_REQUEST_PAGES"
        /// `poison`, `stop`, or `retry:` and a number of times: `FailurePolicy`.
        case failurePolicy = "FAILURE_POLICY"
        /// `true` or `false`: `RegionOptions.usesHugePages`.
        case hugePages = "HUGE_PAGES"

        var expectation: String {
            switch self {
            case .spin, .stallThreshold, .gatherDelay: "a duration such as 200us, 5ms or 1s"
            case .wakePolicy: "immediate, end-of-turn or adaptive"
            case .messagesPerRead: "a number from 1 to 4096"
            case .readsPerTurn: "a number from 1 to 1024"
            case .resolution: "reactor or in-thread"
            case .measuresLatency, .hugePages: "true or false"
            case .readAhead: "a number of bytes such as 2097152, 512KiB or 2MiB"
            case .maximumRequestPages: "a number from 1 to 65536"
            case .failurePolicy: "poison, stop or retry:TIMES"
            }
        }
    }

    private mutating func apply(_ variable: Variable, _ value: String) -> Bool {
        switch variable {
        case .spin:
            guard let time = SettingValue.duration(value) else { return false }
            reactor.waiting = time == .zero ? .blocking : .spinning(upTo: time)
        case .stallThreshold:
            guard let time = SettingValue.duration(value), time > .zero else { return false }
            reactor.stallThreshold = time
        case .wakePolicy:
            let policies = [
                "immediate": WakePolicy.immediate, "end-of-turn": .endOfTurn, "adaptive": .adaptive,
            ]
            guard let policy = policies[value] else { return false }
            pager.wakePolicy = policy
        case .gatherDelay:
            guard let time = SettingValue.duration(value) else { return false }
            pager.gatherDelay = time
        case .messagesPerRead:
            guard let number = SettingValue.number(value, 1...4096) else { return false }
            pager.messagesPerRead = number
        case .readsPerTurn:
            guard let number = SettingValue.number(value, 1...1024) else { return false }
            pager.readsPerTurn = number
        case .resolution:
            guard let mode = ["reactor": ResolutionMode.reactor, "in-thread": .inThread][value] else {
                return false
            }
            pager.resolution = mode
        case .measuresLatency:
            guard let flag = SettingValue.flag(value) else { return false }
            pager.measuresLatency = flag
        case .readAhead:
            guard let bytes = SettingValue.bytes(value) else { return false }
            region.readAhead = bytes == 0 ? .none : .adaptive(upTo: bytes)
        case .maximumRequestPages:
            guard let number = SettingValue.number(value, 1...65536) else { return false }
            region.maximumRequestPages = number
        case .failurePolicy:
            guard let policy = SettingValue.failurePolicy(value) else { return false }
            region.failurePolicy = policy
        case .hugePages:
            guard let flag = SettingValue.flag(value) else { return false }
            region.usesHugePages = flag
        }
        return true
    }
}

/// A setting that is refused.
public struct SettingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name of the variable, with its prefix.
    public let name: String
    /// What it was set to.
    public let value: String
    /// What it may be.
    public let expected: String
    /// Whether there is no setting of that name.
    public let isUnknown: Bool

    /// A sentence that says what to do.
    public var description: String {
        isUnknown
            ? "\(name) is not a setting; it must be \(expected)"
            : "\(name) is \"\(value)\"; it must be \(expected)"
    }
}
