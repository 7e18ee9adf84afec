// A table of 64 MiB in a file, worked on with 8 MiB of memory. Run it with `swift run BeyondMemory`.

import EventReactor
import Faultline
import Glibc

let path = "/tmp/faultline-beyond-memory-\(getpid())"
defer { _ = unsafe unlink(path) }

// snippet.map
let reactor = try Reactor.start()
let pager = try await Pager(on: reactor)
let store = try FileStore(
    path: path, options: FileStore.Options(access: .readWriteCreating, byteCount: 64 << 20))
let budget = try MemoryBudget(byteCount: 8 << 20)
let table = try await pager.map(
    store: store, budget: budget, options: RegionOptions(name: "table", readAhead: .adaptive))
// snippet.end

// Entries all over the table: they leave memory, and come back when they are needed again.
let entries = 20_000
let clerk = Task.detached {
    for number in 0..<entries {
        table.store(number, toByteOffset: number * 7919 % (table.byteCount / 8) * 8)
    }
    return (0..<entries).allSatisfy { number in
        table.load(fromByteOffset: number * 7919 % (table.byteCount / 8) * 8, as: Int.self) == number
    }
}
let isRight = await clerk.value
precondition(isRight, "an entry is not what was written")

// snippet.flush
try await table.flush()
// snippet.end
let statistics = await pager.statistics
print("\(statistics.evictedPages) pages left memory, in \(statistics.discards) calls")
print("\(await pager.usedByteCount(of: budget)) bytes of \(budget.byteCount) are in use")
precondition(statistics.dirtyPages == 0)

// snippet.unmap
try await pager.unmap(table, within: .seconds(10))
// snippet.end
await pager.shutdown()
await reactor.shutdown()
