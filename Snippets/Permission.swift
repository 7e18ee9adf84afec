// What this process may do with page faults, and what would allow more. Run it with `swift run Permission`.

import EventReactor
import Faultline
import Userfault

// snippet.probe
do {
    let found = try Userfaultfd.probe()
    print("userfaultfd by \(found.access)")
    if !found.refusals.isEmpty { print("refused: \(found.refusals)") }
    print("faults inside system calls are \(found.servesKernelFaults ? "" : "not ")served")
} catch {
    // The sentence says which sysctl, capability or device node would help.
    print(error)
}
// snippet.end

// snippet.huge
func mapHugePages(on pager: Pager) async throws -> Region {
    do {
        return try await pager.map(
            byteCount: 4 << 20, handler: ZeroFillHandler(), options: RegionOptions(usesHugePages: true))
    } catch {
        print("no huge pages: \(error)")
        return try await pager.map(byteCount: 4 << 20, handler: ZeroFillHandler())
    }
}
// snippet.end

do {
    let reactor = try Reactor.start()
    let pager = try await Pager(on: reactor)
    let region = try await mapHugePages(on: pager)
    print(
        "pages of \(region.pageSize >> 10) KiB: the first byte is \(region.load(fromByteOffset: 0, as: UInt8.self))"
    )
    await pager.shutdown()
    await reactor.shutdown()
} catch {
    print(error)
}
