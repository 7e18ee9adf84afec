// A gibibyte of square numbers, of which only the pages that somebody looks at are ever made.
// Run it with `swift run FirstHandler`.

// snippet.handler
import EventReactor
import Faultline

struct Squares: FaultHandler {
    func resolve(_ request: FaultRequest) async throws -> Resolution {
        var pages = try request.makeBuffer()
        for offset in stride(from: 0, to: request.byteCount, by: 8) {
            let number = UInt64(request.offset + offset) / 8
            pages.store(number * number, toByteOffset: offset)
        }
        return .copy(pages)
    }
}

// snippet.region
let reactor = try Reactor.start()
let pager = try await Pager(on: reactor)
let region = try await pager.map(byteCount: 1 << 30, handler: Squares())

// snippet.touch
let number = 1_000_000
let square = region.load(fromByteOffset: 8 * number, as: UInt64.self)
print("\(number) squared is \(square)")
print("\(await pager.statistics.bytes) of \(region.byteCount) bytes were made")

// snippet.shutdown
await pager.shutdown()
await reactor.shutdown()
