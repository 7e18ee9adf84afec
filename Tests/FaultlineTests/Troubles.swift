import EventReactor
import Faultline
import FaultlineTestKit
import Userfault

/// What the pages of the invariants' tests are to hold: in each word the number of its page, and something more.
enum Store {
    static func number(ofPage page: Int) -> UInt64 { UInt64(page + 1) &* 0x9E37_79B9_7F4A_7C15 }

    static func word(ofPage page: Int) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number(ofPage: page) >> (8 * $0)) }
    }

    static func buffer(for request: FaultRequest) throws -> PageBuffer {
        var buffer = try request.makeBuffer()
        for offset in stride(from: 0, to: request.byteCount, by: 8) {
            let page = (request.offset + offset) / request.pageSize
            buffer.store(number(ofPage: page), toByteOffset: offset)
        }
        return buffer
    }
}

/// A kernel that has a bad day: now and then it is busy, refuses, or somebody else was faster.
final class Troubles: Sendable {
    private struct State {
        var random: TestRandom
        var region: AddressRange?
    }

    private let state: Lock<State>
    private let pageSize: Int
    private let fails: Bool

    init(seed: TestSeed, pageSize: Int, fails: Bool = true) {
        state = Lock(State(random: TestRandom(seed, stream: 7)))
        self.pageSize = pageSize
        self.fails = fails
    }

    /// From now on.
    func begin(in region: Region) { state.withLock { $0.region = region.range } }

    func script(_ call: ScriptedKernel.Call, _ kernel: KernelDescriptor) -> Outcome? {
        state.withLock { state in
            guard let region = state.region, region.contains(call.range), call.kind != .wake else {
                return nil
            }
            let pages = call.range.byteCount / pageSize
            switch state.random.below(100) {
            case 0..<12:
                return .again
            case 12..<24 where call.kind == .copy:
                // Somebody else is faster with one page of the range, and does not wake: EEXIST, or a partial copy.
                let number = state.random.below(pages)
                let address = call.range.start + UInt(number * pageSize)
                let target = AddressRange(start: address, byteCount: pageSize)
                install(Int(address - region.start) / pageSize, at: target, by: kernel)
                return nil
            case 24..<32 where call.kind == .copy && fails:
                // EFAULT, as for a source that cannot be read.
                return kernel.copy(from: 1, to: call.range, wake: false)
            default:
                return nil
            }
        }
    }

    private func install(_ page: Int, at target: AddressRange, by kernel: KernelDescriptor) {
        var bytes: [UInt8] = []
        for _ in 0..<pageSize / 8 { bytes += Store.word(ofPage: page) }
        guard let source = try? PageSource(copying: bytes) else { return }
        _ = kernel.copy(from: source.range.start, to: target, wake: false)
    }
}

/// Gives what the store holds, at once, later or in parts, and fails now and then.
final class UnreliableHandler: FaultHandler {
    private struct State {
        var random: TestRandom
        var pagesAsked = 0
    }

    private let state: Lock<State>
    private let synchronous: Bool
    private let reactor: Reactor
    private let failures: Int

    /// `failures`: in a hundred.
    init(seed: TestSeed, synchronous: Bool, reactor: Reactor, failures: Int = 10) {
        state = Lock(State(random: TestRandom(seed, stream: 8)))
        self.synchronous = synchronous
        self.reactor = reactor
        self.failures = failures
    }

    /// Pages of first requests: retries are not counted again.
    var pagesAsked: Int { state.withLock { $0.pagesAsked } }

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        let choice = state.withLock { state in
            if request.attempt == 0 { state.pagesAsked += request.pageCount }
            return state.random.below(100)
        }
        guard synchronous else { return nil }
        if choice < failures { throw StoreIsDown() }
        return try .copy(Store.buffer(for: request))
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        let choice = state.withLock { $0.random.below(100) }
        switch choice {
        case 0..<30:
            break
        case 30..<60:
            try await reactor.sleep(for: .microseconds(choice * 5))
        case 60..<80 where request.pageCount > 1:
            // The last page first.
            let last = AddressRange(
                start: request.range.end - UInt(request.pageSize), byteCount: request.pageSize)
            var part = try request.makeBuffer(byteCount: request.pageSize)
            for offset in stride(from: 0, to: request.pageSize, by: 8) {
                part.store(
                    Store.number(ofPage: request.offset / request.pageSize + request.pageCount - 1),
                    toByteOffset: offset)
            }
            try await request.supply(Resolution.copy(part).covering(last))
            try await reactor.sleep(for: .microseconds(30))
        default:
            await Task.yield()
        }
        if state.withLock({ $0.random.chance(failures) }) { throw StoreIsDown() }
        return try .copy(Store.buffer(for: request))
    }
}
