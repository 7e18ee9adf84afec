// A program with a loop of its own, which gives the reactor a turn in each round.
// Run it with `swift run HostedReactor`.

import EventReactor
import Faultline
import Synchronization

let reactor = try Reactor.hosted()
let isFinished = Atomic(false)

// What touches pages must not run on the thread that serves them: here it is a task on Swift's pool.
let work = Task.detached {
    defer { isFinished.store(true, ordering: .releasing) }
    let pager = try await Pager(on: reactor)
    let source = try PageSource(copying: Array("pages, please".utf8))
    let region = try await pager.map(byteCount: source.byteCount, handler: MemoryHandler(source))
    let text = String(decoding: region.readBytes(0..<source.byteCount), as: UTF8.self)
    await pager.shutdown()
    return text
}

// snippet.loop
// The host's loop. Between two turns nothing is served: take the next one soon.
var rounds = 0
while !isFinished.load(ordering: .acquiring) {
    try reactor.turn(waiting: .milliseconds(10))
    rounds += 1
}
await reactor.shutdown()
// snippet.end

print("this loop took turns: \(rounds > 0)")
print("the region held: \(try await work.value)")
