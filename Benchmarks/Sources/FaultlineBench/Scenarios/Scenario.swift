/// Something to measure.
protocol Scenario: Sendable {
    var name: String { get }
    /// A few words for `--list`.
    var summary: String { get }
    /// The names of what is compared.
    var variantNames: [String] { get }

    func run(_ context: Context, into report: inout Report) async throws
}

extension TouchScenario {
    var variantNames: [String] { (variants + acrossCores).map(\.name) }
}

extension RestoreScenario {
    var variantNames: [String] { variants.map(\.name) }
}

extension ReplayScenario {
    var variantNames: [String] { ["c-epoll", "faultline", "faultline-replay"] }
}

extension MixedScenario {
    var variantNames: [String] { variants.map(\.name) }
}

/// What was asked for.
struct Context {
    var arguments: Arguments
    var placement: Placement
    var progress = Progress()

    /// Whether no scenario was named: all of them, small.
    var isTour: Bool { arguments.scenarios.isEmpty }
    var runs: Int { arguments.runs ?? (isTour ? 3 : 5) }
    var rounds: Rounds { Rounds(count: runs, progress: progress) }

    /// Whether a variant was not excluded.
    func wants(_ variant: String) -> Bool { arguments.variants?.contains(variant) ?? true }

    /// The paths of programs that are needed; nil, which has been said, if they are not there and nobody asked for this.
    func examples(_ names: [String], for scenario: String) throws(RunError) -> [String]? {
        let programs = ExamplePrograms(folder: arguments.examples)
        do {
            return try programs.paths(names)
        } catch {
            guard isTour else { throw error }
            progress.note("\(scenario) is left out. \(error)")
            return nil
        }
    }

    func pages(_ usual: Int, tour: Int) -> Int { arguments.pages ?? (isTour ? tour : usual) }
    func threads(_ usual: [Int], tour: [Int]) -> [Int] { arguments.threads ?? (isTour ? tour : usual) }
}

/// All there are, in the order of the tour.
enum Scenarios {
    static let all: [any Scenario] = [
        TouchScenario.roundtrip, TouchScenario.threads, TouchScenario.scan, TouchScenario.streams,
        TouchScenario.random, TouchScenario.latency, TouchScenario.cores,
        GrowthScenario(), ReplayScenario(), RestoreScenario(),
        MixedScenario(), OperationsScenario(), TouchScenario.inThread, DirtyScenario(),
        SnapshotScenario(), PagingScenario(), TouchScenario.remote, ServeScenario(),
        MonitorsScenario(),
    ]
}
