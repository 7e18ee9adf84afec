// Memory whose pages live behind a socket: a server with a file of 64 MiB, and a region over it of which 4 MiB are here at a time.
// Both are in this program; in practice they are two. Run it with `swift run RemoteMemory`.

import EventReactor
import Faultline
import FaultlineRemote
import Glibc

let folder = "/tmp/faultline-remote-memory-\(getpid())"
_ = unsafe mkdir(folder, 0o700)
let (path, socket) = ("\(folder)/memory", "\(folder)/socket")
defer {
    for name in [path, socket] { _ = unsafe unlink(name) }
    _ = unsafe rmdir(folder)
}
let reactor = try Reactor.start()

// snippet.serve
// Where the memory is. The secret has 16 bytes or more; as a file it is read with SharedSecret(contentsOfFile:).
let (secret, _) = SharedSecret.random()
let file = try FileStore(path: path, options: .init(access: .readWriteCreating, byteCount: 64 << 20))
let server = try await PageServer.start(
    on: reactor, at: .unix(path: socket), exports: ["memory": .init(file)], secret: secret)
// snippet.end

// snippet.use
// Where the program is.
let store = try await RemoteStore.connect(
    to: .unix(path: socket), export: "memory", secret: secret, on: reactor)
let pager = try await Pager(on: reactor)
let region = try await pager.map(
    store: store, budget: try MemoryBudget(byteCount: 4 << 20), options: .init(readAhead: .adaptive))
// snippet.end

// Ordinary memory, for any thread but the reactor's. A task that waits for a page holds its thread of Swift's pool.
let writer = Task.detached {
    for place in stride(from: 0, to: region.byteCount, by: 4096) { region.store(place, toByteOffset: place) }
}
await writer.value

// snippet.flush
try await region.flush()
// snippet.end
let isRight = await Task.detached {
    stride(from: 0, to: region.byteCount, by: 4096).allSatisfy {
        region.load(fromByteOffset: $0, as: Int.self) == $0
    }
}.value
precondition(isRight, "a page is not what was written")
let statistics = await pager.statistics
print(
    "\(region.byteCount >> 20) MiB written and read again, \(statistics.evictedPages) pages went over the wire and back"
)

await pager.shutdown()
await store.close()
await server.shutdown()
await reactor.shutdown()
