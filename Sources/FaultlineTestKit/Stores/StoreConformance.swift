public import Faultline
public import Testing

/// What every store owes to those who use it, as tests: put a store of your own through them.
///
/// ```swift
/// @Test(arguments: StoreConformance.Case.allCases)
/// func `my store keeps its promises`(_ one: StoreConformance.Case) async throws {
///     try await StoreConformance { try await MyStore(byteCount: $0) }.run(one)
/// }
/// ```
public struct StoreConformance: Sendable {
    /// One promise.
    public enum Case: String, CaseIterable, Sendable, CustomTestStringConvertible {
        /// A new store reads as zero.
        case zeroes
        /// What was written is read, whatever the pieces are cut like.
        case contents
        /// Many pieces in one call, in any order.
        case pieces
        /// What lies behind the end reads as zero and cannot be written.
        case end
        /// What is answered at once is what is read.
        case readNow
        /// Calls about different bytes do not disturb each other.
        case concurrency
        /// Trimmed bytes read as zero, and their neighbours do not.
        case trim
        /// Random operations, compared with a plain array.
        case random
        /// A store opened anew has what was flushed. Skipped without a way to open it.
        case durability
        /// A cancelled task neither hangs nor leaves the store in pieces.
        case cancellation

        /// The name of the case.
        public var testDescription: String { rawValue }
    }

    let makeStore: @Sendable (Int) async throws -> any PageStore
    let reopenStore: (@Sendable (any PageStore) async throws -> any PageStore)?

    /// - Parameters:
    ///   - reopenStore: opens the contents of a store anew, as after a restart; nil where nothing is durable.
    ///   - makeStore: makes an empty store of so many bytes.
    public init(
        reopenStore: (@Sendable (any PageStore) async throws -> any PageStore)? = nil,
        makeStore: @escaping @Sendable (Int) async throws -> any PageStore
    ) {
        self.makeStore = makeStore
        self.reopenStore = reopenStore
    }

    /// Puts a new store through a case; what is wrong is recorded as an issue of the test that calls.
    ///
    /// - Throws: what making the store throws, or an operation that should have succeeded.
    public func run(_ one: Case, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let run = StoreConformanceRun(seed: TestSeed(), location: sourceLocation)
        // An odd length: the last page is not full.
        let store = try await makeStore(run.byteCount)
        #expect(store.byteCount == run.byteCount, sourceLocation: sourceLocation)
        switch one {
        case .zeroes: try await run.zeroes(store)
        case .contents: try await run.contents(store)
        case .pieces: try await run.pieces(store)
        case .end: try await run.end(store)
        case .readNow: try await run.readNow(store)
        case .concurrency: try await run.concurrency(store)
        case .trim: try await run.trim(store)
        case .random: try await run.random(store)
        case .durability:
            guard let reopenStore else { return }
            try await run.durability(store, reopenStore)
        case .cancellation: try await run.cancellation(store)
        }
    }
}
