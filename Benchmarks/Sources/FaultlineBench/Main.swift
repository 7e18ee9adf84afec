import Glibc

/// The command.
@main
enum Main {
    static let version = "0.1.0"

    /// Exit statuses of the contract.
    enum Status: CInt {
        case success = 0
        case failure = 1
        case usage = 64
        case noPermission = 77
    }

    static func main() async {
        exit(await run(Array(CommandLine.arguments.dropFirst())).rawValue)
    }

    private static func run(_ words: [String]) async -> Status {
        do {
            let arguments = try Arguments.parse(words, knownScenarios: Scenarios.all.map(\.name))
            switch arguments.action {
            case .help: System.write(Arguments.help, to: .output)
            case .version: System.write("faultline-bench \(version)\n", to: .output)
            case .list:
                for scenario in Scenarios.all {
                    let padding = String(repeating: " ", count: 12 - scenario.name.count)
                    let variants = scenario.variantNames.joined(separator: ", ")
                    System.write("\(scenario.name)\(padding)\(scenario.summary) (\(variants))\n", to: .output)
                }
            case .run: return try await measure(arguments)
            }
            return .success
        } catch let error as UsageError {
            complain(error.description)
            return .usage
        } catch {
            complain("\(error)")
            return .failure
        }
    }

    private static func measure(_ arguments: Arguments) async throws -> Status {
        let known = Scenarios.all.flatMap(\.variantNames)
        for name in arguments.variants ?? [] where !known.contains(name) {
            throw UsageError(description: "There is no variant '\(name)'. See --list.")
        }
        let context = Context(arguments: arguments, placement: try Placement(arguments.pin))
        let access = UserfaultAccess.probe()
        if case .refused(let number) = access {
            guard [EPERM, EACCES, ENOSYS].contains(number) else {
                throw RunError.failed("A userfaultfd cannot be opened: \(System.describe(number)).")
            }
            complain(UserfaultAccess.advice(errorNumber: number))
            return .noPermission
        }
        // An unwritable path is said now, not after minutes of measuring.
        if let output = arguments.output { try System.save("", to: output) }
        var report = Report(machine: Machine(access: access))
        let chosen = Scenarios.all.filter { context.isTour || arguments.scenarios.contains($0.name) }
        for scenario in chosen {
            context.progress.note("\(scenario.name): \(scenario.summary)")
            try await scenario.run(context, into: &report)
        }
        if let output = arguments.output { try System.save(report.html, to: output) }
        System.write(arguments.format == .json ? report.json.text + "\n" : report.text, to: .output)
        return .success
    }

    private static func complain(_ sentence: String) {
        System.write("faultline-bench: \(sentence)\n", to: .error)
    }
}
