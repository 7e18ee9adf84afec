import EventReactor
import Faultline
import FaultlineTestKit
import Synchronization
import Testing
import Userfault

/// Takes a snapshot into memory.
func memorySnapshot(
    of region: Region, options: SnapshotOptions = SnapshotOptions()
) async throws -> (image: SnapshotImage, report: SnapshotReport) {
    let target = SnapshotMemory()
    let report = try await region.snapshot(to: target, options: options)
    return (SnapshotImage(try #require(target.image)), report)
}

/// The bytes of a snapshot.
struct SnapshotImage: Sendable {
    private let source: PageSource

    init(_ source: PageSource) { self.source = source }

    var byteCount: Int { source.byteCount }

    func load<T: BitwiseCopyable>(_ offset: Int, as type: T.Type = T.self) -> T {
        source.withBytes(offset..<offset + MemoryLayout<T>.size) { bytes in
            unsafe bytes.unsafeLoadUnaligned(as: type)
        }
    }
}

/// A target that does what it is told before each write.
final class ScriptedTarget: SnapshotTarget {
    private let memory = SnapshotMemory()
    private let offsets = Lock<[Range<Int>]>([])
    private let beforeWrite: @Sendable (Int) async throws -> Void
    private let abandonments = Atomic(0)

    /// `beforeWrite` is told how many writes there have been.
    init(_ beforeWrite: @escaping @Sendable (Int) async throws -> Void) { self.beforeWrite = beforeWrite }

    var written: [Range<Int>] { offsets.withLock { $0 } }
    var abandoned: Int { abandonments.load(ordering: .relaxed) }
    var image: SnapshotImage? { memory.image.map { SnapshotImage($0) } }

    func begin(_ layout: SnapshotLayout) throws { try memory.begin(layout) }

    func write(_ bytes: RawSpan, at offset: Int) async throws {
        try await beforeWrite(written.count)
        offsets.withLock { $0.append(offset..<offset + bytes.byteCount) }
        memory.write(bytes, at: offset)
    }

    func finish() { memory.finish() }

    func abandon() { abandonments.add(1, ordering: .relaxed) }
}

extension Region {
    /// Fills pages with words that tell their page, on a thread of its own.
    func fillPages(_ numbers: Range<Int>, salt: UInt64 = 0) async {
        await FaultingThread { [self] in
            for number in numbers {
                for offset in stride(from: 0, to: pageSize, by: 512) {
                    store(UInt64(number) &* 0x9E37_79B9 &+ salt, toByteOffset: number * pageSize + offset)
                }
            }
        }.value
    }

    /// The pages that do not hold what `fillPages` wrote.
    static func wrongPages(_ numbers: Range<Int>, salt: UInt64 = 0, in image: SnapshotImage, pageSize: Int)
        -> [Int]
    {
        numbers.filter { number in
            !stride(from: 0, to: pageSize, by: 512).allSatisfy {
                image.load(number * pageSize + $0, as: UInt64.self) == UInt64(number) &* 0x9E37_79B9 &+ salt
            }
        }
    }

    /// Whether threads can write everywhere without anybody being asked: nothing is protected any more.
    func isFreeToWrite() async -> Bool {
        let before = await pager.statistics
        await FaultingThread { [self] in
            for number in 0..<pageCount {
                store(
                    load(fromByteOffset: number * pageSize, as: UInt8.self), toByteOffset: number * pageSize)
            }
        }.value
        let after = await pager.statistics
        return after.unprotects == before.unprotects && after.watchedWrites == before.watchedWrites
    }
}

/// A number that threads hand on.
final class Counter: Sendable {
    private let storage = Atomic<UInt64>(0)
    var value: UInt64 {
        get { storage.load(ordering: .sequentiallyConsistent) }
        set { storage.store(newValue, ordering: .sequentiallyConsistent) }
    }
}
