import CTestSupport
import FaultlineTestKit
import Testing
import Userfault

/// Memory, registered unless without modes, its descriptor, and pages to fill it with: page i of the source is full of the word
/// i + 1.
final class Scene: Sendable {
    let area: Area
    let source: Area
    let served: Served

    init(
        _ backing: Backing = .anonymous, pages: Int = 8, alias: Bool = false,
        modes: RegistrationModes = .missing, features: Features = [],
        trying ways: [Userfaultfd.Access] = [.deviceNode, .systemCall, .userModeOnly]
    ) throws {
        area = try Area(backing, pages: pages, alias: alias)
        source = try Area.words(pages, of: area.pageSize)
        let uffd = try Userfaultfd(requiring: features, trying: ways)
        if !modes.isEmpty { _ = try uffd.register(area.whole, modes: modes) }
        served = Served(adopting: uffd)
    }

    /// Installs copies of the source's pages of the same numbers.
    func copy(_ first: Int, _ count: Int = 1, options: CopyOptions = []) -> Outcome {
        served.uffd.copy(
            from: source.start + UInt(first * area.pageSize), to: area.pages(first, count), options: options)
    }

    func wake(_ first: Int, _ count: Int = 1) throws { try served.uffd.wake(area.pages(first, count)) }

    /// A thread that looks at a page: its result is the byte, page i having i + 1 when it was copied.
    func reader(_ page: Int) -> Worker { .peek(area.address(page)) }

    /// A thread that looks at a page, waits, and whose message is read.
    func parkedReader(_ page: Int, _ batch: inout EventBatch) throws -> Worker {
        let reader = reader(page)
        #expect(try batch.nextFault(from: served).address == area.address(page))
        return reader
    }
}

extension Area {
    /// Memory of small pages, `count` stretches of `size` bytes: the one of number i is full of the word i + 1.
    static func words(_ count: Int, of size: Int) throws -> Area {
        let made = try Area(pages: count * size / SystemPage.size)
        ctest_fill_pages(UInt64(made.start), UInt64(count), UInt64(size), 1)
        return made
    }
}

/// Several threads that are joined together, in the order in which they were started.
struct Crowd: ~Copyable {
    // Workers cannot be copied, and arrays hold only what can.
    private final class Member {
        var worker: Worker?
        init(_ worker: consuming Worker) { self.worker = consume worker }
    }

    private var members: [Member] = []

    init() {}

    mutating func add(_ worker: consuming Worker) { members.append(Member(worker)) }

    var threadIDs: [UInt32] { members.map { $0.worker?.threadID ?? 0 } }
    var doneCount: Int { members.count { $0.worker?.isDone ?? true } }
    /// Where those sleep that are not done.
    var sleepers: [String] {
        members.compactMap { $0.worker?.isDone == false ? $0.worker?.sleepsIn : nil }
    }

    consuming func join() -> [Int64] { members.map { $0.worker.take()?.join() ?? -1 } }
}

/// Advice of madvise(2), which not every C library names.
enum Advice {
    static let dontNeed: CInt = 4
    static let free: CInt = 8
    static let remove: CInt = 9
    static let dontFork: CInt = 10
    static let hugePage: CInt = 14
    static let noHugePage: CInt = 15
    static let cold: CInt = 20
    static let pageOut: CInt = 21
    static let populateRead: CInt = 22
    static let dontNeedLocked: CInt = 24
    static let collapse: CInt = 25
    static let guardInstall: CInt = 102
    static let guardRemove: CInt = 103
}

/// What the kernel must have for missing pages of every backing, and for their protection.
let anyBacking: Features = [.missingSharedMemory, .missingHugePages]
let anyProtection: Features = [.writeProtectFaults, .writeProtectSharedMemory]

/// Where a thread sleeps whose event nobody has read.
let eventWait = "userfaultfd_event_wait_completion"
