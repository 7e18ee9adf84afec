/// The command line.
struct Options: Equatable {
    enum Action: Equatable { case run, help }

    var action = Action.run
    /// How long all backings run together, at least.
    var time: Duration?
    /// How often each backing goes from one memory to the next, at least.
    var bounces: Int?
    var backings = Backing.allCases
    /// The size of the memory that is served, in MiB.
    var mebibytes = 64
    /// Threads that take mutexes; nil: one for each CPU, two at least.
    var threads: Int?
    var seed: UInt64 = 1

    /// What is run when neither time nor bounces are given.
    static let usualTime = Duration.seconds(60)
    /// Fewer tell nothing.
    static let usualBounces = 20

    /// Each backing's share of the time, and the bounces it does at least.
    var goal: (time: Duration, bounces: Int) {
        let all = time ?? (bounces == nil ? Options.usualTime : .zero)
        return (all / max(backings.count, 1), bounces ?? Options.usualBounces)
    }

    static let help = """
        Usage: faultline-stress [options]

        Threads take mutexes that lie in pages served by Faultline, and count, while the pages are copied, protected and
        copied again; then the memory becomes the source of the next. Every counter is checked.

          --seconds S, --minutes N  how long, all backings together (default: 60 seconds)
          --bounces N               how often each backing goes from one memory to the next at least (default: 20);
                                    without a time, exactly so often
          --backing A[,B…]          of \(Backing.allCases.map(\.rawValue).joined(separator: ", ")) (default: all)
          --mib N                   size of the memory (default: 64)
          --threads N               threads that take mutexes (default: one for each CPU, two at least)
          --seed N                  of the order in which they do
          --help

        Huge pages are borrowed from the system for the time of the run, where this process may.

        Exit status: 0, 1 for corrupt memory, a failure or a hang, 64 for bad arguments, 77 where nothing could be run
        because of what the kernel or its permissions lack.

        """
}

/// What is wrong with a command line, as a sentence.
struct UsageError: Error, Equatable, CustomStringConvertible {
    var description: String
}

extension Options {
    /// Parses what follows the program's name.
    static func parse(_ words: [String]) throws(UsageError) -> Options {
        var options = Options()
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--help" || word == "-h" {
                options.action = .help
                continue
            }
            // Both `--mib 64` and `--mib=64`.
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard names.contains(name) else {
                throw UsageError(description: "There is no option '\(name)'. See --help.")
            }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
                throw UsageError(description: "\(name) needs a value.")
            }
            try options.set(name, to: value)
        }
        return options
    }

    private static let names = [
        "--seconds", "--minutes", "--bounces", "--backing", "--mib", "--threads", "--seed",
    ]

    private mutating func set(_ name: String, to value: String) throws(UsageError) {
        switch name {
        case "--seconds": time = .seconds(try Options.number(value, name, 1...604_800))
        case "--minutes": time = .seconds(60 * (try Options.number(value, name, 1...10_080)))
        case "--bounces": bounces = try Options.number(value, name, 1...1_000_000)
        case "--mib": mebibytes = try Options.number(value, name, 4...65_536)
        case "--threads": threads = try Options.number(value, name, 1...1024)
        case "--seed": seed = UInt64(try Options.number(value, name, 0...Int.max))
        default:
            var chosen: [Backing] = []
            for part in value.split(separator: ",", omittingEmptySubsequences: false) {
                guard let backing = Backing(rawValue: String(part)) else {
                    let known = Backing.allCases.map(\.rawValue).joined(separator: ", ")
                    throw UsageError(description: "--backing takes \(known), not '\(part)'.")
                }
                if !chosen.contains(backing) { chosen.append(backing) }
            }
            backings = chosen
        }
    }

    private static func number(
        _ text: String, _ name: String, _ range: ClosedRange<Int>
    ) throws(UsageError) -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(
                description:
                    "\(name) takes a whole number from \(range.lowerBound) to \(range.upperBound), not '\(text)'."
            )
        }
        return number
    }
}
