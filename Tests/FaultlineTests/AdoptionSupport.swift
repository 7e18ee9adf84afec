import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// A process that hands its memory over; see `ctest_owner`. For exit tests: a forked child shares the pages of its parent,
/// and has copies of its descriptors.
struct Owner: Sendable {
    /// Where the memory of all of them is: each has its own.
    static let base: UInt = {
        let byteCount: UInt64 = 64 << 20
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let address = ctest_mmap(0, byteCount, PROT_NONE, flags, -1)
        precondition(address > 0)
        // Aligned for huge pages as well.
        return (UInt(address) + (2 << 20) - 1) & ~((2 << 20) - 1)
    }()

    var kind = SocketKind.stream
    var user: UInt32 = 0
    var pages = 16
    var isShared = false
    var features: Features = []
    /// Which part of the store it has: the first page's number in it is this many times `pages`.
    var number = 0
    /// In place of the right description.
    var bytes: [UInt8]?
    var firstPart = 0
    var gift = ctest_gift_userfaultfd
    var waitsForVerdict = true
    var deed = ctest_owner_walk
    /// It lives until the last writing end of this pipe is closed.
    var hold: HoldPipe?
    /// Told when the verdict is there.
    var ready: HoldPipe?

    var range: AddressRange { AddressRange(start: Self.base, byteCount: pages * SystemPage.size) }

    var area: MemoryDescription.Area {
        MemoryDescription.Area(
            range, memory: isShared ? .sharedMemory : .privateAnonymous, offset: number * range.byteCount)
    }

    /// Forks it.
    func fork(to address: SocketAddress) throws -> CInt {
        let bytes = try self.bytes ?? MemoryDescription([area]).encoded()
        let path = String(address.description.dropFirst("unix:".count))
        let child = unsafe path.withCString { path in
            unsafe bytes.withUnsafeBufferPointer { buffer in
                var owner = unsafe ctest_owner(
                    path: path, packets: kind == .stream ? 0 : 1, user: user, address: UInt64(range.start),
                    pages: UInt64(pages), page_size: UInt64(SystemPage.size), shared: isShared ? 1 : 0,
                    features: features.rawValue, bytes: buffer.baseAddress, size: UInt64(buffer.count),
                    first_part: UInt64(firstPart), gift: gift, waits_for_verdict: waitsForVerdict ? 1 : 0,
                    deed: deed, first: UInt64(number * pages), hold: hold?.readEnd ?? -1,
                    release: hold?.writeEnd ?? -1, ready: ready?.writeEnd ?? -1)
                return unsafe ctest_fork_owner(&owner)
            }
        }
        try #require(child > 0)
        return CInt(child)
    }
}

/// A pipe for one process to wait on another.
final class HoldPipe: Sendable {
    let readEnd: CInt
    let writeEnd: CInt
    private let isReleased = Lock(false)

    init() {
        var ends: [CInt] = [-1, -1]
        let status = unsafe ctest_pipe(&ends)
        precondition(status == 0)
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        release()
        close(readEnd)
    }

    /// Lets go whoever waits for its end.
    func release() {
        let isFirst = isReleased.withLock { released in
            defer { released = true }
            return !released
        }
        if isFirst { close(writeEnd) }
    }

    /// Waits for a byte, on the reactor.
    func byte(on reactor: Reactor) async throws {
        let descriptor = try await reactor.descriptor(readEnd)
        try await descriptor.readable()
        await descriptor.cancelAndWait()
        #expect(ctest_read_byte(readEnd) == 1)
    }
}

/// A reactor that adopts, for the length of an exit test's body.
struct Adopting {
    let reactor: Reactor
    let listener: AdoptionListener
    let refusals: RefusalLog

    init(_ change: (inout AdoptionListener.Options) -> Void = { _ in }) async throws {
        reactor = try Reactor.start()
        let refusals = RefusalLog()
        var options = AdoptionListener.Options()
        options.onRefusal = { refusals.add($0) }
        change(&options)
        self.refusals = refusals
        listener = try await AdoptionListener(
            on: reactor,
            at: .unix(path: "\0faultline-\(getpid())-\(UInt32.random(in: 0 ... .max))"), options)
    }

    /// Runs the listener while `body` runs.
    func run(
        _ serve: @escaping @Sendable (Adoption) async -> Void, while body: () async throws -> Void
    ) async throws {
        let running = Task { try await listener.run(serve) }
        try await body()
        await listener.close()
        try await running.value
        await reactor.shutdown()
    }
}

/// Collects refused peers.
final class RefusalLog: Sendable {
    private let entries = Lock<[AdoptionListener.Refusal]>([])
    func add(_ refusal: AdoptionListener.Refusal) { entries.withLock { $0.append(refusal) } }
    var all: [AdoptionListener.Refusal] { entries.withLock { $0 } }
    var codes: [HandoverError.Code] { all.map(\.error.code) }
}

/// A list that any thread may append to.
final class Notes<Element: Sendable>: Sendable {
    private let elements = Lock<[Element]>([])
    func add(_ element: Element) { elements.withLock { $0.append(element) } }
    var all: [Element] { elements.withLock { $0 } }
}

/// Waits for the exit of a child without holding a thread of the pool: what it passed to exit, or -1000 - its signal.
func exitStatus(of child: CInt, on reactor: Reactor) async throws -> CInt {
    try await reactor.process(child).waitForExit()
    return ctest_wait(child)
}

/// Expects that a pager stops because its process is gone.
func expectProcessExited(
    _ pager: Pager, _ location: SourceLocation = #_sourceLocation
) async {
    do {
        try await pager.waitUntilStopped()
        Issue.record("it was merely shut down", sourceLocation: location)
    } catch {
        #expect(error.code == .processExited, "\(error)", sourceLocation: location)
    }
    #expect(await !pager.isServing, sourceLocation: location)
}

/// How many descriptors of the kinds that are handed over this process has open, once tasks and other threads have let go of
/// what they hold.
func settledDescriptorCount(_ expected: CInt) async -> CInt {
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(20)
    while ctest_count_handed_descriptors() != expected, clock.now < deadline { await Task.yield() }
    return ctest_count_handed_descriptors()
}
