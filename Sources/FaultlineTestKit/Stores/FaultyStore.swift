import EventReactor
public import Faultline

/// A store in front of another one that fails, waits and breaks off as a test says: in a script, or by rules (latency, errors
/// for some operations, bytes or calls, or at random from a seed, and short reads): see
/// ``init(_:answersNow:clock:seed:rules:)``.
///
/// ```swift
/// let store = FaultyStore(MemoryStore(byteCount: 1 << 20)) { call in
///     if call.operation == .write, call.number == 3 { throw StoreError(.noSpace, "no room in this test") }
///     return .none
/// }
/// ```
public final class FaultyStore: PageStore {
    /// The operations of a store.
    public enum Operation: Hashable, Sendable {
        /// `PageStore.readNow`
        case readNow
        /// `PageStore.read`
        case read
        /// `PageStore.write`
        case write
        /// `PageStore.flush`
        case flush
        /// `PageStore.trim`
        case trim
    }

    /// A call of the store.
    public struct Call: Hashable, Sendable {
        /// What was asked for.
        public let operation: Operation
        /// The bytes of the store that it was about; none for a flush.
        public let ranges: [Range<Int>]
        /// How often this operation has been asked for, this time included.
        public let number: Int
    }

    /// What becomes of a call, when the script does not throw.
    public enum Trouble: Sendable {
        /// It goes to the store behind.
        case none
        /// Of what is to be read or written, the first bytes are; then this is thrown.
        case breakOff(afterByteCount: Int, any Error)
    }

    private struct Log {
        var calls: [Call] = []
        var counts: [Operation: Int] = [:]
    }

    private let store: any PageStore
    private let answersNow: Bool
    private let log = Lock(Log())
    private let script: @Sendable (Call) async throws -> Trouble
    /// Whether the store behind is asked for what it has at hand.
    private let immediate: @Sendable (Range<Int>) throws -> Bool

    /// - Parameters:
    ///   - store: the store behind.
    ///   - answersNow: whether what the store behind has at hand is answered at once, without asking the script.
    ///   - script: called for every read, write, flush and trim. What it throws is what the call throws; as long as it
    ///     suspends, the call waits.
    public convenience init(
        _ store: any PageStore, answersNow: Bool = false,
        script: @escaping @Sendable (Call) async throws -> Trouble
    ) {
        self.init(store, answersNow: answersNow, immediate: { _ in true }, script: script)
    }

    init(
        _ store: any PageStore, answersNow: Bool, immediate: @escaping @Sendable (Range<Int>) throws -> Bool,
        script: @escaping @Sendable (Call) async throws -> Trouble
    ) {
        self.store = store
        self.answersNow = answersNow
        self.immediate = immediate
        self.script = script
    }

    /// The calls so far, in the order of their beginning.
    public var calls: [Call] { log.withLock { $0.calls } }
    /// How often an operation has been asked for.
    public func count(_ operation: Operation) -> Int { log.withLock { $0.counts[operation] ?? 0 } }

    /// That of the store behind.
    public var byteCount: Int { store.byteCount }
    /// That of the store behind.
    public var writesFromRegions: Bool { store.writesFromRegions }

    /// What the store behind answers, if anything is answered at once.
    public func readNow(_ range: Range<Int>) throws -> StoredBytes? {
        guard answersNow else { return nil }
        _ = note(.readNow, [range])
        return try immediate(range) ? store.readNow(range) : nil
    }

    /// Reads, unless the script has it otherwise.
    public func read(_ pieces: [StoreRead]) async throws {
        guard case .breakOff(var rest, let error) = try await script(note(.read, pieces.map(\.range))) else {
            return try await store.read(pieces)
        }
        for piece in pieces where rest > 0 {
            try await store.read([piece.part(0..<min(rest, piece.byteCount))])
            rest -= piece.byteCount
        }
        throw error
    }

    /// Writes, unless the script has it otherwise.
    public func write(_ pieces: [StoreWrite]) async throws {
        guard case .breakOff(var rest, let error) = try await script(note(.write, pieces.map(\.range))) else {
            return try await store.write(pieces)
        }
        for piece in pieces where rest > 0 {
            try await store.write([piece.part(0..<min(rest, piece.byteCount))])
            rest -= piece.byteCount
        }
        throw error
    }

    /// Flushes, unless the script has it otherwise.
    public func flush() async throws {
        if case .breakOff(_, let error) = try await script(note(.flush, [])) { throw error }
        try await store.flush()
    }

    /// Trims, unless the script has it otherwise.
    public func trim(_ ranges: [Range<Int>]) async throws {
        if case .breakOff(_, let error) = try await script(note(.trim, ranges)) { throw error }
        try await store.trim(ranges)
    }

    private func note(_ operation: Operation, _ ranges: [Range<Int>]) -> Call {
        log.withLock { log in
            log.counts[operation, default: 0] += 1
            let call = Call(operation: operation, ranges: ranges, number: log.counts[operation] ?? 0)
            log.calls.append(call)
            return call
        }
    }
}
