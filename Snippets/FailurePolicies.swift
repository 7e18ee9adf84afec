// What becomes of a thread whose page cannot be supplied: the handler is asked again, the page is poisoned, or the
// pager stops. Nobody is ever shown zeroes instead. Run it with `swift run FailurePolicies`.

import EventReactor
import Faultline
import Glibc

struct StoreIsDown: Error {}

/// Supplies zeroes at the third attempt, or never.
struct Unreliable: FaultHandler {
    let succeedsAtLast: Bool

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        guard succeedsAtLast, request.attempt == 2 else { throw StoreIsDown() }
        return .zero
    }
}

// snippet.owner
// The owner hears of every failure, on the reactor's thread: hand it on, and return.
let (failures, log) = AsyncStream.makeStream(of: FaultFailure.self)
let reactor = try Reactor.start()
let pager = try await Pager(on: reactor, configuration: .init(onFailure: { log.yield($0) }))
let printer = Task {
    for await failure in failures { print("  \(failure.region): \(failure.error), \(failure.action)") }
}

// snippet.policies
let patient = try await pager.map(
    byteCount: 4096, handler: Unreliable(succeedsAtLast: true),
    options: .init(name: "patient", failurePolicy: .retry(limit: 5, initialDelay: .milliseconds(1))))
let poisoned = try await pager.map(
    byteCount: 4096, handler: Unreliable(succeedsAtLast: false),
    options: .init(name: "poisoned", failurePolicy: .poison))
let fatal = try await pager.map(
    byteCount: 4096, handler: Unreliable(succeedsAtLast: false),
    options: .init(name: "fatal", failurePolicy: .stop))
// snippet.end

/// Touches a region from within a system call, which answers `EFAULT` where a thread of its own gets SIGBUS.
func touch(_ region: Region) -> String {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return "no pipe" }
    defer { for end in ends { close(end) } }
    return write(ends[1], region.unsafeBaseAddress, 1) == 1 ? "is there" : String(cString: strerror(errno))
}

print("patient: the byte is \(patient.load(fromByteOffset: 0, as: UInt8.self))")
if pager.access == .userModeOnly {
    print("The rest needs faults inside system calls to be served, which is not permitted here.")
} else {
    print("poisoned: \(touch(poisoned))")
    print("fatal: \(touch(fatal))")
    do {
        try await pager.waitUntilStopped()
    } catch {
        print("the pager stopped: \(error)")
    }
}

await pager.shutdown()
log.finish()
await printer.value
await reactor.shutdown()
