import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// What tests of changes of the address space do to it. Each call returns when its message has been read.
///
/// Other tests map memory at the same time: addresses that were let go may be theirs the next moment. A test that needs
/// them again maps over them instead of unmapping.
enum Change {
    static let remove: CInt = 9  // MADV_REMOVE
    static let dontNeed: CInt = 4  // MADV_DONTNEED

    static func advise(_ range: AddressRange, _ advice: CInt = dontNeed) -> CInt {
        ctest_madvise(UInt64(range.start), UInt64(range.byteCount), advice)
    }

    static func unmap(_ range: AddressRange) -> CInt {
        ctest_munmap(UInt64(range.start), UInt64(range.byteCount))
    }

    /// Maps private anonymous memory in place of whatever is there.
    static func mapOver(_ range: AddressRange) -> Bool {
        ctest_mmap(
            UInt64(range.start), UInt64(range.byteCount), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1) == Int64(range.start)
    }

    /// Moves memory; `keepsOld` is MREMAP_DONTUNMAP.
    static func move(
        _ range: AddressRange, to start: UInt, byteCount: Int? = nil, keepsOld: Bool = false
    ) -> Bool {
        ctest_mremap_with(
            UInt64(range.start), UInt64(range.byteCount), UInt64(byteCount ?? range.byteCount),
            keepsOld ? 7 : 3, UInt64(start)) == Int64(start)
    }

    /// Makes memory longer or shorter where it is.
    static func resize(_ range: AddressRange, to byteCount: Int) -> Bool {
        ctest_mremap_with(UInt64(range.start), UInt64(range.byteCount), UInt64(byteCount), 0, 0)
            == Int64(range.start)
    }
}

/// Addresses that nothing else uses, reserved without access. They are not given back: whoever lets go of some himself may
/// not do it twice, since they are others' then.
struct FreeAddresses: Sendable {
    let range: AddressRange

    init(byteCount: Int) {
        let address = ctest_mmap(
            0, UInt64(byteCount), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1)
        precondition(address > 0)
        range = AddressRange(start: UInt(address), byteCount: byteCount)
    }
}

/// Collects what the owner is told of changes.
final class ChangeLog: Sendable {
    private let entries = Lock<[AddressSpaceChange]>([])
    var changes: [AddressSpaceChange] { entries.withLock { $0 } }
    var kinds: [AddressSpaceChange.Kind] { changes.map(\.kind) }
    func add(_ change: AddressSpaceChange) { entries.withLock { $0.append(change) } }
}

/// A kernel whose messages reach the pager when the test lets them.
final class HeldKernel: FaultKernel {
    private let inner: any FaultKernel
    private let isHeld = Lock(false)
    private let operations: Operations

    /// - Parameter operations: what registrations offer at most.
    init(_ inner: any FaultKernel, offering operations: Operations = Operations(rawValue: .max)) {
        self.inner = inner
        self.operations = operations
    }

    /// From now on messages stay where they are.
    func hold() { isHeld.withLock { $0 = true } }

    /// Lets them come.
    func release() {
        isHeld.withLock { $0 = false }
        ctest_event_signal(inner.fileDescriptor)
    }

    var fileDescriptor: CInt { inner.fileDescriptor }
    var features: Features { inner.features }
    var isRelayed: Bool { inner.isRelayed }
    var isCaughtUp: Bool { inner.isCaughtUp }
    var canSpareDescriptors: Bool { inner.canSpareDescriptors }
    func stopReading() { inner.stopReading() }
    func probe(_ range: AddressRange) -> RangeProbe { inner.probe(range) }
    func read(into batch: EventReader) throws(UserfaultfdError) -> Int {
        if isHeld.withLock({ $0 }) { return 0 }
        return try inner.read(into: batch)
    }
    func register(_ range: AddressRange, modes: RegistrationModes) throws(UserfaultfdError) -> Operations {
        try inner.register(range, modes: modes).intersection(operations)
    }
    func unregister(_ range: AddressRange) throws(UserfaultfdError) { try inner.unregister(range) }
    func wake(_ range: AddressRange) throws(UserfaultfdError) { try inner.wake(range) }
    func copy(from source: UInt, to range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        inner.copy(from: source, to: range, wake: wake, protect: protect)
    }
    func move(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        inner.move(from: source, to: range, wake: wake)
    }
    func mapExisting(_ range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        inner.mapExisting(range, wake: wake, protect: protect)
    }
    func unprotect(_ range: AddressRange, wake: Bool) -> Outcome { inner.unprotect(range, wake: wake) }
    func protect(_ range: AddressRange) -> Outcome { inner.protect(range) }
    func zero(_ range: AddressRange, wake: Bool) -> Outcome { inner.zero(range, wake: wake) }
    func poison(_ range: AddressRange, wake: Bool) -> Outcome { inner.poison(range, wake: wake) }
    func discard(_ ranges: ArraySlice<AddressRange>) -> Int { inner.discard(ranges) }
}

/// A reactor with a pager that hears of `events`, through a kernel that can be held.
func withHeldPager(
    _ events: Features, _ configuration: Pager.Configuration = Pager.Configuration(),
    offering operations: Operations = Operations(rawValue: .max),
    _ body: (Pager, HeldKernel) async throws -> Void
) async throws {
    let reactor = try Reactor.start()
    let descriptor = try Userfaultfd(requiring: events, requesting: .poison)
    let kernel = HeldKernel(try RelayedKernel(KernelDescriptor(descriptor)), offering: operations)
    do {
        let pager = try await Pager(on: reactor, kernel: kernel, access: nil, configuration: configuration)
        try await body(pager, kernel)
        await pager.shutdown()
    } catch {
        await reactor.shutdown()
        throw error
    }
    await reactor.shutdown()
}

/// A reactor with a pager that hears of `events` and reads them itself: faults that wait together are read together. No
/// thread may hold a lock that the reactor wants while it causes an event.
func withDirectPager(
    _ events: Features, _ configuration: Pager.Configuration = Pager.Configuration(),
    script: @escaping @Sendable (ScriptedKernel.Call, KernelDescriptor) -> Outcome? = { _, _ in nil },
    _ body: (Pager) async throws -> Void
) async throws {
    let reactor = try Reactor.start()
    let kernel = ScriptedKernel(try Userfaultfd(requiring: events, requesting: .poison), script: script)
    do {
        let pager = try await Pager(on: reactor, kernel: kernel, access: nil, configuration: configuration)
        try await body(pager)
        await pager.shutdown()
    } catch {
        await reactor.shutdown()
        throw error
    }
    await reactor.shutdown()
}

/// The first word of each of `count` pages from `start` on, read by a thread of its own.
func words(_ start: UInt, _ count: Int, pageSize: Int = SystemPage.size) async -> [UInt64] {
    let thread = FaultingThread { (0..<count).map { ctest_load(UInt64(start) + UInt64($0 * pageSize)) } }
    return await thread.value
}

extension Region {
    /// The addresses of some of its pages.
    func addresses(_ pages: Range<Int>) -> AddressRange {
        AddressRange(
            start: range.start + UInt(pages.lowerBound * pageSize), byteCount: pages.count * pageSize)
    }
}

/// Waits for a condition that another thread or the kernel brings about.
func eventually(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<100_000 {
        if try await condition() { return }
        _ = ctest_pause(200_000)
    }
    try #require(try await condition(), "waited in vain")
}
