public import EventReactor
public import Faultline

extension FaultyStore {
    /// What is to happen to some of the calls of a store.
    ///
    /// A rule says which calls it is about: by operation, by the bytes they touch, by how often that has happened, and by
    /// chance. Without any of these it is about all.
    public struct Rule: Sendable {
        enum Effect: Sendable {
            case delay(Duration)
            case fail(any Error)
            case breakOff(Int, any Error)
        }
        var effect: Effect
        var operations: Set<Operation>
        var bytes: Range<Int>?
        var occurrences: Range<Int>?
        var percent: Int

        /// The call is made to wait, by the clock of the store's rules. Rules for the same call add up.
        ///
        /// - Parameters:
        ///   - duration: for how long.
        ///   - operations: the operations it is about; `readNow` does not wait, it answers 'not now'.
        ///   - bytes: only calls that touch these bytes of the store; nil for all, flushes included.
        ///   - occurrences: only these of the calls that all the above is true for, the first of which is 1; nil for all.
        ///   - percent: only so many in a hundred of these, at random.
        public static func delay(
            _ duration: Duration, _ operations: Set<Operation> = [.read, .write, .flush, .trim],
            touching bytes: Range<Int>? = nil, occurrences: Range<Int>? = nil, percent: Int = 100
        ) -> Rule {
            Rule(
                effect: .delay(duration), operations: operations, bytes: bytes, occurrences: occurrences,
                percent: percent)
        }

        /// The call fails, and the store behind is not asked.
        ///
        /// - Parameters:
        ///   - error: what is thrown.
        ///   - operations: the operations it is about; `readNow` too can fail.
        ///   - bytes: only calls that touch these bytes of the store; nil for all, flushes included.
        ///   - occurrences: only these of the calls that all the above is true for, the first of which is 1; nil for all.
        ///   - percent: only so many in a hundred of these, at random.
        public static func fail(
            _ error: any Error, _ operations: Set<Operation> = [.read, .write, .flush, .trim],
            touching bytes: Range<Int>? = nil, occurrences: Range<Int>? = nil, percent: Int = 100
        ) -> Rule {
            Rule(
                effect: .fail(error), operations: operations, bytes: bytes, occurrences: occurrences,
                percent: percent)
        }

        /// A short read or write: only the first bytes are read or written, then the call fails. A flush or a trim fails
        /// at once.
        ///
        /// - Parameters:
        ///   - byteCount: how many bytes, counted over the pieces in their order.
        ///   - error: what is thrown.
        ///   - operations: the operations it is about.
        ///   - bytes: only calls that touch these bytes of the store; nil for all.
        ///   - occurrences: only these of the calls that all the above is true for, the first of which is 1; nil for all.
        ///   - percent: only so many in a hundred of these, at random.
        public static func breakOff(
            after byteCount: Int, _ error: any Error, _ operations: Set<Operation> = [.read, .write],
            touching bytes: Range<Int>? = nil, occurrences: Range<Int>? = nil, percent: Int = 100
        ) -> Rule {
            Rule(
                effect: .breakOff(byteCount, error), operations: operations, bytes: bytes,
                occurrences: occurrences, percent: percent)
        }

        func concerns(_ operation: Operation, _ ranges: [Range<Int>]) -> Bool {
            guard operations.contains(operation) else { return false }
            guard let bytes else { return true }
            return ranges.contains { $0.overlaps(bytes) }
        }
    }

    /// A store whose troubles follow rules. All that are about a call are applied: the delays first, then the first of the
    /// others, if there is one.
    ///
    /// ```swift
    /// let store = FaultyStore(
    ///     try MemoryStore(byteCount: 1 << 20), clock: reactor.clock, seed: TestSeed(),
    ///     rules: [
    ///         .delay(.milliseconds(2), [.read]),
    ///         .fail(StoreError(.inputOutput, "a bad spot"), [.read], touching: 4096..<8192),
    ///         .fail(StoreError(.noSpace, "full"), [.write], occurrences: 3..<5),
    ///         .breakOff(after: 100, StoreError(.inputOutput, "cut off"), [.read], percent: 5),
    ///     ])
    /// ```
    ///
    /// - Parameters:
    ///   - store: the store behind.
    ///   - answersNow: whether what the store behind has at hand is answered at once.
    ///   - clock: what delays are measured by: a reactor's, whose thread is not held by them.
    ///   - seed: what rules with a chance are decided by: the same calls in the same order have the same troubles.
    ///   - rules: what is to happen.
    public convenience init(
        _ store: any PageStore, answersNow: Bool = false, clock: ReactorClock, seed: TestSeed = TestSeed(),
        rules: [Rule]
    ) {
        let book = RuleBook(rules, seed: seed)
        self.init(
            store, answersNow: answersNow,
            immediate: { range in
                let (delay, effect) = book.next(.readNow, [range])
                switch effect {
                case .fail(let error)?, .breakOff(_, let error)?: throw error
                default: return delay == .zero
                }
            },
            script: { call in
                let (delay, effect) = book.next(call.operation, call.ranges)
                if delay > .zero { try await clock.sleep(for: delay) }
                switch effect {
                case .fail(let error)?: throw error
                case .breakOff(let count, let error)?: return .breakOff(afterByteCount: count, error)
                default: return .none
                }
            })
    }
}

/// Rules, with how often each was about a call.
private final class RuleBook: Sendable {
    private struct State {
        var counts: [Int]
        var random: TestRandom
    }
    private let rules: [FaultyStore.Rule]
    private let state: Lock<State>

    init(_ rules: [FaultyStore.Rule], seed: TestSeed) {
        self.rules = rules
        state = Lock(State(counts: rules.map { _ in 0 }, random: TestRandom(seed)))
    }

    /// What the rules have for a call: how long it waits, and what becomes of it.
    func next(
        _ operation: FaultyStore.Operation, _ ranges: [Range<Int>]
    ) -> (delay: Duration, effect: FaultyStore.Rule.Effect?) {
        state.withLock { state in
            var delay = Duration.zero
            var effect: FaultyStore.Rule.Effect?
            for (index, rule) in rules.enumerated() where rule.concerns(operation, ranges) {
                state.counts[index] += 1
                if let occurrences = rule.occurrences, !occurrences.contains(state.counts[index]) { continue }
                guard rule.percent >= 100 || state.random.chance(rule.percent) else { continue }
                if case .delay(let duration) = rule.effect {
                    delay += duration
                } else if effect == nil {
                    effect = rule.effect
                }
            }
            return (delay, effect)
        }
    }
}
