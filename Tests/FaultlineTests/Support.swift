import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Pages whose every word is the number of its page, counted from `first`.
struct NumberedPages: FaultHandler {
    var first: UInt64 = 0

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        try .copy(Self.buffer(for: request, first: first))
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        try .copy(Self.buffer(for: request, first: first))
    }

    static func buffer(for request: FaultRequest, first: UInt64 = 0) throws -> PageBuffer {
        var buffer = try request.makeBuffer()
        for offset in stride(from: 0, to: request.byteCount, by: 8) {
            buffer.store(first + UInt64((request.offset + offset) / request.pageSize), toByteOffset: offset)
        }
        return buffer
    }
}

/// A handler made of a closure, which counts its calls.
final class ClosureHandler: FaultHandler {
    private let calls = Lock(0)
    private let body: @Sendable (FaultRequest) async throws -> Resolution

    init(_ body: @escaping @Sendable (FaultRequest) async throws -> Resolution) { self.body = body }

    var callCount: Int { calls.withLock { $0 } }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        calls.withLock { $0 += 1 }
        return try await body(request)
    }
}

/// An error of a handler's own.
struct StoreIsDown: Error, Hashable {}

/// Collects what the owner is told.
final class FailureLog: Sendable {
    private let entries = Lock<[FaultFailure]>([])
    var failures: [FaultFailure] { entries.withLock { $0 } }
    func add(_ failure: FaultFailure) { entries.withLock { $0.append(failure) } }
}

/// Something that happens once and can be awaited, by tasks.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Lock(State())

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters.removeAll() }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

/// A reactor with a pager, shut down at the end.
func withPager<T>(
    _ configuration: Pager.Configuration = Pager.Configuration(),
    _ body: (Pager) async throws -> T
) async throws -> T {
    let reactor = try Reactor.start()
    do {
        let pager = try await Pager(on: reactor, configuration: configuration)
        let result = try await body(pager)
        await pager.shutdown()
        await reactor.shutdown()
        return result
    } catch {
        await reactor.shutdown()
        throw error
    }
}

/// A reactor whose pager has a script between it and the kernel.
func withScriptedPager(
    _ configuration: Pager.Configuration = Pager.Configuration(),
    script: @escaping @Sendable (ScriptedKernel.Call, KernelDescriptor) -> Outcome?,
    _ body: (Pager, ScriptedKernel) async throws -> Void
) async throws {
    let reactor = try Reactor.start()
    let kernel = ScriptedKernel(try Userfaultfd(requesting: [.poison]), script: script)
    do {
        let pager = try await Pager(on: reactor, kernel: kernel, access: nil, configuration: configuration)
        try await body(pager, kernel)
        await pager.shutdown()
    } catch {
        await reactor.shutdown()
        throw error
    }
    await reactor.shutdown()
}

/// Faults of `offsets`, one thread each, read by the pager in one batch.
func faultTogether<T: BitwiseCopyable & Sendable>(
    _ region: Region, at offsets: [Int], as type: T.Type
) async -> [FaultingThread<T>] {
    let hold = await LoopHold.take(region.pager.reactor)
    let threads = offsets.map { offset in
        FaultingThread { region.load(fromByteOffset: offset, as: type) }
    }
    for thread in threads { await thread.waitUntilParked() }
    hold.release()
    return threads
}
