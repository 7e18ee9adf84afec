import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Synchronization
import Testing
import Userfault

/// A kind of region whose writes are tracked.
enum TrackedKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    /// Private memory whose pages come from a handler.
    case supplied
    /// Private memory whose pages the kernel makes.
    case empty
    /// Shared memory whose pages come from a handler.
    case sharedSupplied
    case shared
    case sharedMinor

    var testDescription: String { rawValue }

    /// Those of which snapshots can be taken here: pages are copied by system calls, whose minor faults must be served.
    static let saved = allCases.filter {
        $0 != .sharedMinor || UserfaultfdRequirement.unmet([], kernelFaults: true) == nil
    }

    var modes: RegistrationModes {
        switch self {
        case .supplied, .sharedSupplied: [.missing, .writeProtect]
        case .sharedMinor: [.minor, .writeProtect]
        default: .writeProtect
        }
    }

    func map(on pager: Pager, pages: Int, handler: any FaultHandler = TrackedHandler()) async throws -> Region
    {
        let options = RegionOptions(name: rawValue, modes: modes)
        switch self {
        case .supplied, .empty:
            return try await pager.map(
                byteCount: pages * SystemPage.size, handler: handler, options: options)
        case .shared, .sharedSupplied, .sharedMinor:
            let memory = try SharedMemory(byteCount: pages * SystemPage.size)
            if self == .sharedMinor {
                // In the page cache, so that there is something to map.
                for page in 0..<pages { memory.store(UInt8(0), toByteOffset: page * SystemPage.size) }
            }
            return try await pager.map(memory, handler: handler, options: options)
        }
    }
}

/// Zeroes, and no answer to writes: nobody is to ask.
struct TrackedHandler: FaultHandler {
    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        switch request.kind {
        case .missing: return .zero
        case .minor: return .mapExisting
        case .writeProtect: throw StoreIsDown()
        }
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution { throw StoreIsDown() }
}

extension DirtyPages {
    /// The numbers of the pages, counted from `start`.
    func numbers(from start: UInt) -> [Int] {
        ranges.flatMap { range in
            let first = Int(range.start - start) / pageSize
            return first..<first + range.byteCount / pageSize
        }
    }
}

/// How far the collections have come, and what they and the writers have seen: enough to say of each write where it may turn
/// up, and where it must.
final class CollectionLog: Sendable {
    struct Write {
        var page: Int
        /// The first collection that may have it, and the last that must.
        var first: Int
        var last: Int
    }

    private let begun = Atomic(0)
    private let ended = Atomic(0)
    private let writes = Lock<[Write]>([])
    private let collections = Lock<[Set<Int>]>([])

    /// Does a write, and gives way.
    func write(page: Int, pause: Bool = true, _ body: () -> Void) {
        let first = ended.load(ordering: .sequentiallyConsistent)
        body()
        let last = begun.load(ordering: .sequentiallyConsistent)
        writes.withLock { $0.append(Write(page: page, first: first, last: last)) }
        if pause { _ = usleep(20) }
    }

    /// Does a collection.
    @discardableResult
    func collect(_ tracker: DirtyTracker) async throws -> Set<Int> {
        begun.add(1, ordering: .sequentiallyConsistent)
        let pages = Set(try await tracker.collect().numbers(from: tracker.range.start))
        ended.add(1, ordering: .sequentiallyConsistent)
        collections.withLock { $0.append(pages) }
        return pages
    }

    /// Collects `rounds` times while threads write, so that there is something to collect each time.
    func collect(_ tracker: DirtyTracker, rounds: Int) async throws {
        for _ in 0..<rounds {
            let before = writes.withLock { $0.count }
            while writes.withLock({ $0.count }) < before + 4 { await Task.yield() }
            try await collect(tracker)
        }
    }

    /// Each write is in one of its collections, and each page of a collection has a write that may have put it there.
    func check(_ comment: String) {
        let collections = collections.withLock { $0 }
        let writes = writes.withLock { $0 }
        var explained = collections.map { _ in Set<Int>() }
        var lost: [Write] = []
        for write in writes {
            let range = write.first...min(write.last, collections.count - 1)
            if !range.contains(where: { collections[$0].contains(write.page) }) { lost.append(write) }
            for index in range { explained[index].insert(write.page) }
        }
        #expect(
            lost.isEmpty, "\(lost.count) of \(writes.count) writes were lost: \(lost.prefix(5)), \(comment)")
        for (index, pages) in collections.enumerated() {
            let extra = pages.subtracting(explained[index])
            #expect(
                extra.isEmpty,
                "collection \(index) has pages that nobody wrote: \(extra.sorted().prefix(5)), \(comment)")
        }
    }
}

/// A flag for threads that write until they are told to stop.
final class StopSign: Sendable {
    private let flag = Atomic(false)
    var isUp: Bool { flag.load(ordering: .acquiring) }
    func putUp() { flag.store(true, ordering: .releasing) }
}
