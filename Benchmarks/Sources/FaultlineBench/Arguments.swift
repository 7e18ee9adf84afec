/// The command line, parsed by hand: the benchmark depends on nothing but what it measures.
struct Arguments: Equatable {
    enum Action: Equatable { case run, help, list, version }
    enum Format: String, Equatable { case table, json }

    var action = Action.run
    /// Scenarios in the order asked for; empty asks for the short tour.
    var scenarios: [String] = []
    var pages: Int?
    var threads: [Int]?
    var runs: Int?
    /// What `--pin` said; nil when it was not given.
    var askedPin: Pinning?
    var format = Format.table
    var output: String?
    var file: String?
    /// Where the programs of the examples are; nil for beside this one.
    var examples: String?
    /// Variants to measure; nil for all.
    var variants: [String]?

    /// Where threads run, unless a scenario has a placement of its own.
    var pin: Pinning { askedPin ?? .same }
}

/// What is wrong with a command line, as a sentence.
struct UsageError: Error, Equatable, CustomStringConvertible {
    var description: String
}

/// Where the faulting and the serving threads run.
enum Pinning: String, CaseIterable {
    case none
    case same
    case cross
}

extension Arguments {
    /// Parses what follows the program's name.
    static func parse(_ words: [String], knownScenarios: [String]) throws(UsageError) -> Arguments {
        var arguments = Arguments()
        var rest = words[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("-") else {
                guard knownScenarios.contains(word) else {
                    throw UsageError(
                        description:
                            "There is no scenario '\(word)'. There are \(knownScenarios.joined(separator: ", "))."
                    )
                }
                arguments.scenarios.append(word)
                continue
            }
            // Both `--pages 10` and `--pages=10`.
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            if let action = Arguments.actions[name] {
                guard parts.count == 1 else { throw UsageError(description: "\(name) takes no value.") }
                arguments.action = action
                continue
            }
            guard Arguments.options.contains(name) else {
                throw UsageError(description: "There is no option '\(name)'. See --help.")
            }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
                throw UsageError(description: "\(name) needs a value.")
            }
            try arguments.set(name, to: value)
        }
        return arguments
    }

    private static let actions: [String: Action] = [
        "--help": .help, "-h": .help, "--list": .list, "--version": .version,
    ]
    private static let options = [
        "--pages", "--threads", "--runs", "--pin", "--format", "--output", "--file", "--examples",
        "--variants",
    ]

    private mutating func set(_ name: String, to value: String) throws(UsageError) {
        switch name {
        case "--pages": pages = try Arguments.number(value, name, 1...16_777_216)
        case "--runs": runs = try Arguments.number(value, name, 1...1000)
        case "--threads":
            var counts: [Int] = []
            for part in value.split(separator: ",", omittingEmptySubsequences: false) {
                counts.append(try Arguments.number(String(part), name, 1...1024))
            }
            threads = counts
        case "--pin":
            guard let choice = Pinning(rawValue: value) else {
                throw UsageError(description: "--pin takes none, same or cross, not '\(value)'.")
            }
            askedPin = choice
        case "--format":
            guard let choice = Format(rawValue: value) else {
                throw UsageError(description: "--format takes table or json, not '\(value)'.")
            }
            format = choice
        case "--variants":
            variants = value.split(separator: ",").map(String.init)
        case "--output": output = try Arguments.path(value, name)
        case "--examples": examples = try Arguments.path(value, name)
        default: file = try Arguments.path(value, name)
        }
    }

    private static func number(_ text: String, _ name: String, _ range: ClosedRange<Int>) throws(UsageError)
        -> Int
    {
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(
                description:
                    "\(name) takes a whole number from \(range.lowerBound) to \(range.upperBound), not '\(text)'."
            )
        }
        return number
    }

    private static func path(_ text: String, _ name: String) throws(UsageError) -> String {
        guard !text.isEmpty else { throw UsageError(description: "\(name) needs a path.") }
        return text
    }

    static let help = """
        Usage: faultline-bench [SCENARIO…] [options]

        Measures how fast page faults are served by Faultline and by plain C, in the same process, by the same
        faulting threads, in turns. With no scenario: a short tour of all of them.

          --pages N             pages touched in a run (not for restore, where the file decides)
          --threads N[,N…]      faulting threads, for threads, restore, mixed and paging; writing ones, for snapshot;
                                clients, for serve; monitors, for monitors
          --runs N              measured runs of every variant; medians are reported
          --pin none|same|cross where threads run: anywhere, all on one core (the default, but for snapshot), faulting on
                                one core and serving on another
          --file PATH           the file that restore restores; default: this program
          --examples DIR        where the programs are that serve and monitors run; default: beside this one
          --variants A[,B…]     only these, by the names of the table: for a profiler
          --format table|json   what is written to standard output
          --output FILE.html    write a page with plots as well
          --list                list the scenarios
          --help, --version

        Exit status: 0, 1 when contents were wrong or a run failed, 64 for bad arguments, 77 without the permission
        to use userfaultfd.

        """
}
