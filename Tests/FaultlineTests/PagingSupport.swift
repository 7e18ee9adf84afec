import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// A region over a store, for tests: what its pages hold, threads that go over them, and a look at what is in memory.
struct PagedPages {
    static let page = SystemPage.size

    /// Bytes of `count` pages, the first word of each of which is its number.
    static func numbered(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count * page)
        for number in 0..<count { set(UInt64(number), at: number * page, in: &bytes) }
        return bytes
    }

    static func set(_ value: UInt64, at offset: Int, in bytes: inout [UInt8]) {
        for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }

    static func word(_ bytes: [UInt8], at offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }

    /// How many pages of a region are in memory, asked while the pager stands still.
    static func residentPages(_ region: Region) async throws -> Int {
        let hold = await LoopHold.take(region.pager.reactor)
        defer { hold.release() }
        let scanner = try PagemapScanner()
        var runs = PageRuns(capacity: 4096)
        var count = 0
        var rest = region.range
        while !rest.isEmpty {
            let scan = try scanner.scan(
                rest, anyOf: [.present, .swapped], returning: .present, into: &runs)
            for index in 0..<scan.runCount { count += runs[index].range.byteCount / region.pageSize }
            rest = AddressRange(start: scan.walkEnd, byteCount: Int(rest.end - scan.walkEnd))
        }
        return count
    }

    /// Order in which a thread goes over `count` pages.
    static func order(_ count: Int, shuffled: Bool, _ random: inout TestRandom) -> [Int] {
        shuffled ? Array(0..<count).shuffled(using: &random) : Array(0..<count)
    }
}

/// Makes a store for a test, and knows what is in it.
enum StoreKind: String, CaseIterable, CustomTestStringConvertible {
    case memory, tmpfs, pooled, late

    var testDescription: String { rawValue }

    /// A store that holds `bytes`, and a way to read all of it from behind.
    func make(_ bytes: [UInt8]) throws -> (store: any PageStore, contents: @Sendable () -> [UInt8]) {
        switch self {
        case .memory:
            let store = try MemoryStore(copying: bytes)
            return (store, { store.readBytes(0..<store.byteCount) })
        case .tmpfs, .pooled:
            let file = TemporaryFile(bytes, in: "/dev/shm")
            let options = FileStore.Options(reading: self == .pooled ? .pooled : .cached)
            return (try FileStore(path: file.path, options: options), { file.bytes })
        case .late:
            // Everything takes the long way, and is copied before it is written.
            let memory = try MemoryStore(copying: bytes)
            let store = CopyingStore(
                store: FaultyStore(memory) { _ in
                    await Task.yield()
                    return .none
                })
            return (store, { memory.readBytes(0..<memory.byteCount) })
        }
    }
}

/// A store that is not handed the memory of regions.
struct CopyingStore: PageStore {
    let store: any PageStore
    var byteCount: Int { store.byteCount }
    func read(_ pieces: [StoreRead]) async throws { try await store.read(pieces) }
    func write(_ pieces: [StoreWrite]) async throws { try await store.write(pieces) }
    func flush() async throws { try await store.flush() }
}
