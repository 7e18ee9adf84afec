// Restore a file into memory lazily: four tasks read here and there, and only the pages they touch are read from the
// file. Run it with `swift run LazyFile [FILE]`.

import EventReactor
import Faultline

let path = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "/proc/self/exe"

// snippet.serve
let reactor = try Reactor.start()
let pager = try await Pager(on: reactor)
let workers = try WorkerPool(threads: 2, name: "file")
let file = try FileHandler(path: path, reading: .positionedReads(workers))
let region = try await pager.map(byteCount: file.byteCount, handler: file)
// snippet.end

print("\(path) begins with \(region.readBytes(0..<min(4, file.byteCount)))")

// Four tasks, each a walk through the file in strides of its own. A task that waits for a page holds a thread of
// Swift's pool; the pages come from the reactor's thread and the pool of workers, so they come nevertheless.
await withTaskGroup(of: (walk: Int, sum: Int).self) { group in
    for walk in 1...4 {
        group.addTask {
            let stride = stride(from: 0, to: file.byteCount, by: 65_536 * walk)
            return (walk, stride.reduce(0) { $0 + Int(region.load(fromByteOffset: $1, as: UInt8.self)) })
        }
    }
    for await result in group { print("walk \(result.walk) summed up \(result.sum)") }
}

let statistics = await pager.statistics
print("\(statistics.presentPages) of \(region.pageCount) pages were read, in \(statistics.requests) requests")
await pager.shutdown()
await reactor.shutdown()
