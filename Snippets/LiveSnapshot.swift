// An image of memory that a thread goes on writing to, and the pages that were written since.
// Run it with `swift run LiveSnapshot`.

import EventReactor
import Faultline
import Synchronization

// snippet.region
let reactor = try Reactor.start()
let pager = try await Pager(on: reactor)
let region = try await pager.map(
    byteCount: 16 << 20, handler: ZeroFillHandler(),
    options: RegionOptions(modes: [.missing, .writeProtect]))
// snippet.end

// A ledger of two halves: every amount is entered in the first, then in the second.
let isOver = Atomic(false)
let entered = Atomic(0)
let half = region.byteCount / 2
let clerk = Task.detached {
    var entries = 0
    while !isOver.load(ordering: .relaxed) {
        entries += 1
        let place = entries * 4104 % half
        region.store(entries, toByteOffset: place)
        region.store(entries, toByteOffset: half + place)
        entered.store(entries, ordering: .relaxed)
    }
    return entries
}

/// Returns when so many entries were made.
func waitUntil(_ entries: Int) async throws {
    while entered.load(ordering: .relaxed) < entries { try await Task.sleep(for: .milliseconds(1)) }
}

// snippet.track
let tracker = try await region.trackDirty()
try await waitUntil(1000)
let written = try await tracker.collect()
print("\(written.pageCount) pages were written at first")
// snippet.end

// snippet.snapshot
let target = SnapshotMemory()
let report = try await region.snapshot(to: target)
print("\(report.savedPages) pages were saved, \(report.pagesCopiedBeforeWrite) of them before a write")
// snippet.end

try await waitUntil(entered.load(ordering: .relaxed) + 1000)
isOver.store(true, ordering: .relaxed)
print("\(await clerk.value) entries were made")
print("\(try await tracker.collect().pageCount) pages were written since")
await tracker.stop()

// The image shows one instant: the second half lacks one entry at most.
guard let image = target.image else { preconditionFailure("a snapshot that succeeds has an image") }
let (first, second) = image.withBytes(0..<image.byteCount) { bytes in
    stride(from: 0, to: half, by: 8).reduce((0, 0)) { newest, place in
        (
            max(newest.0, bytes.unsafeLoad(fromByteOffset: place, as: Int.self)),
            max(newest.1, bytes.unsafeLoad(fromByteOffset: half + place, as: Int.self))
        )
    }
}
precondition(first == second || first == second + 1, "\(first) entries here, \(second) there")
print("the image shows entry \(first) on the left and \(second) on the right")

await pager.shutdown()
await reactor.shutdown()
