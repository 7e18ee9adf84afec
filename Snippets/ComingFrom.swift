// A region whose pages come from a file: the program that the article for those who come from C, userfaultfd-rs or umap compares.
// Run it with `swift run ComingFrom [FILE]`.

import EventReactor
import Faultline

let path = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "/proc/self/exe"

// snippet.program
let reactor = try Reactor.start()
let pager = try await Pager(on: reactor)
let file = try FileHandler(path: path)
let memory = try await pager.map(
    byteCount: file.byteCount, handler: file,
    options: RegionOptions(failurePolicy: .retry(limit: 3), readAhead: .adaptive))
// snippet.end

print("\(path) begins with \(memory.readBytes(0..<min(4, file.byteCount)))")
await pager.shutdown()
await reactor.shutdown()
