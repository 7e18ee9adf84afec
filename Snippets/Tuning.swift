// The same scan with read-ahead and without, and where the time goes. Run it with `swift run -c release Tuning`.

import EventReactor
import Faultline

let source = try PageSource(copying: [UInt8](repeating: 7, count: 32 << 20))
let reactor = try Reactor.start()

/// One thread reads a word of each page, from the first to the last.
func scan(_ readAhead: ReadAheadPolicy) async throws -> (sum: Int, faults: Int, report: String) {
    // snippet.measure
    let pager = try await Pager(on: reactor, configuration: .init(measuresLatency: true))
    let region = try await pager.map(
        byteCount: source.byteCount, handler: MemoryHandler(source),
        options: RegionOptions(readAhead: readAhead))
    let begin = ContinuousClock.now
    let sum = await Task.detached {
        stride(from: 0, to: region.byteCount, by: region.pageSize).reduce(0) {
            $0 + Int(region.load(fromByteOffset: $1, as: UInt8.self))
        }
    }.value
    let time = begin.duration(to: .now)
    let statistics = await pager.statistics
    var report = "\(statistics.messages) faults, \(statistics.ioctls) ioctls, \(time)"
    if let latencies = await pager.latencies {
        report += "; a fault waits \(latencies.queue.quantile(0.5)) for the handler, an ioctl takes"
        report += " \(latencies.ioctls.quantile(0.5))"
    }
    // snippet.end
    await pager.shutdown()
    return (sum, statistics.messages, report)
}

let single = try await scan(.none)
let ahead = try await scan(.adaptive)
print("without read-ahead: \(single.report)")
print("with read-ahead:    \(ahead.report)")
precondition(single.sum == ahead.sum && ahead.faults * 4 < single.faults)
await reactor.shutdown()
