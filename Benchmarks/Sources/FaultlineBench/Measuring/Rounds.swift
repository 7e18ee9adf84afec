/// Runs variants in turns, so that whatever disturbs the machine disturbs all of them.
struct Rounds {
    /// Measured rounds; one more, not counted, comes first to warm up.
    var count: Int
    var progress: Progress

    /// The samples of each variant, in the order of `names`. Each round begins with another variant.
    func run<Value>(
        _ title: String, _ names: [String], isolation: isolated (any Actor)? = #isolation,
        measure: (_ variant: Int, _ round: Int) async throws -> Value
    ) async throws -> [[Value]] {
        var samples = [[Value]](repeating: [], count: names.count)
        for round in 0...count {
            for turn in names.indices {
                let variant = (turn + round) % names.count
                let what = round == 0 ? "warm-up" : "round \(round) of \(count)"
                progress.show("\(title): \(what), \(names[variant])")
                let value = try await measure(variant, round)
                if round > 0 { samples[variant].append(value) }
            }
        }
        progress.clear()
        return samples
    }
}

/// The line on standard error that says what is going on.
struct Progress {
    private let rewrites = System.errorIsTerminal

    /// Replaces the line on a terminal; elsewhere nothing is written for every step.
    func show(_ text: String) {
        if rewrites { System.write("\r\u{1B}[K\(text)", to: .error) }
    }

    func clear() {
        if rewrites { System.write("\r\u{1B}[K", to: .error) }
    }

    /// A line that stays.
    func note(_ text: String) {
        clear()
        System.write("\(text)\n", to: .error)
    }
}
