// Faults that the faulting thread resolves itself, because the bytes are in memory; and one that it cannot. Run it with
// `swift run InThread`.

import EventReactor
import Faultline

/// What is not in memory: it comes after a while.
struct Slow: FaultHandler {
    let reactor: Reactor

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        try await reactor.sleep(for: .milliseconds(5))
        var pages = try request.makeBuffer()
        pages.store(UInt64(42), toByteOffset: 0)
        return .copy(pages)
    }
}

let image = try PageSource(copying: (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 >> 12) })
let reactor = try Reactor.start()

// snippet.map
let pager = try await Pager(on: reactor, configuration: .init(resolution: .inThread))
let region = try await pager.map(byteCount: 1 << 20, handler: MemoryHandler(image))
// snippet.end

let slow = try await pager.map(byteCount: 1 << 20, handler: Slow(reactor: reactor))

let sum = stride(from: 0, to: region.byteCount, by: region.pageSize).reduce(0) {
    $0 + Int(region.load(fromByteOffset: $1, as: UInt8.self))
}
print("the pages' first bytes sum up to \(sum)")
print("what came later is \(slow.load(fromByteOffset: 0, as: UInt64.self))")

let statistics = await pager.statistics
print(
    "\(statistics.inThreadResolutions) faults were resolved in the thread, \(statistics.requests) by the reactor"
)
await pager.shutdown()
await reactor.shutdown()
