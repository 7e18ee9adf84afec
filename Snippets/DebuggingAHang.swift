// A handler that never answers, what can be seen of it from outside, and how it ends. Run it with `swift run DebuggingAHang`.

import EventReactor
import Faultline
import Glibc
import Synchronization

/// Waits for somebody who never comes.
struct Forgetful: FaultHandler {
    let reactor: Reactor

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        try await reactor.sleep(for: .seconds(3600))
        return .zero
    }
}

// snippet.observer
/// Knows the requests that began and did not end.
final class OpenRequests: PagerObserver {
    private let ranges = Mutex<[UInt64: String]>([:])
    var description: String { ranges.withLock { $0.values.joined(separator: ", ") } }

    func requestBegan(_ id: UInt64, _ request: FaultRequest) {
        ranges.withLock { $0[id] = "\(request.range)" }
    }
    func requestEnded(_ id: UInt64, _ request: FaultRequest, error: (any Error)?) {
        ranges.withLock { $0[id] = nil }
    }
}
// snippet.end

/// Touches a region from within a system call, which answers `EFAULT` where a thread of its own gets SIGBUS.
func touch(_ region: Region) -> String {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return "no pipe" }
    defer { for end in ends { close(end) } }
    return write(ends[1], region.unsafeBaseAddress, 1) == 1 ? "is there" : String(cString: strerror(errno))
}

// snippet.stalls
// A loop that stands still is reported by a thread of its own.
var configuration = Reactor.Configuration()
configuration.stallThreshold = .milliseconds(100)
configuration.onStall = { print("stall: \($0)") }
let reactor = try Reactor.start(configuration)
// snippet.end
let observer = OpenRequests()
let pager = try await Pager(on: reactor, configuration: .init(observer: observer))
let region = try await pager.map(byteCount: 4096, handler: Forgetful(reactor: reactor))

if pager.access == .userModeOnly {
    print("Faults inside system calls are not served here: the thread would not hang, but fail.")
} else {
    let thread = Task.detached { touch(region) }
    // snippet.ask
    // In a program of yours: when something takes longer than it may.
    while await pager.statistics.inFlightPages == 0 { try await Task.sleep(for: .milliseconds(1)) }
    print(
        "\(await pager.statistics.inFlightPages) page is in flight; asked for and not answered: \(observer.description)"
    )
    let statistics = await reactor.statistics()
    print("the loop is alive: \(statistics.turns) turns")
    // snippet.end

    // snippet.stop
    await pager.shutdown(within: .milliseconds(100))
    print("the thread goes on: \(await thread.value)")
    // snippet.end
}
await pager.shutdown()
await reactor.shutdown()
