import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// The stores that are included, put through what every store owes.
@Suite(.timeLimit(.minutes(5)))
struct StoreTests {
    /// A way to make a file store.
    struct FileChoice: Sendable, CustomTestStringConvertible {
        var directory = "/tmp"
        var reading = FileStore.Reading.cached
        var isDirect = false
        var isSparse = false

        var testDescription: String {
            "\(directory) \(reading)\(isDirect ? " direct" : "")\(isSparse ? " sparse" : "")"
        }

        var options: FileStore.Options {
            FileStore.Options(reading: reading, usesDirectIO: isDirect, isSparse: isSparse)
        }

        static let all: [FileChoice] = [
            FileChoice(), FileChoice(reading: .pooled), FileChoice(reading: .mapped),
            FileChoice(directory: "/dev/shm"), FileChoice(directory: "/dev/shm", reading: .pooled),
            FileChoice(isSparse: true), FileChoice(directory: "/dev/shm", isSparse: true),
            FileChoice(directory: "/dev/shm", reading: .pooled, isSparse: true),
            FileChoice(isDirect: true), FileChoice(isDirect: true, isSparse: true),
        ]
    }

    /// Keeps a file as long as the store in it.
    final class OwnedFiles: Sendable {
        private let files = Lock<[TemporaryFile]>([])
        func make(in directory: String) -> TemporaryFile {
            let file = TemporaryFile([], in: directory)
            files.withLock { $0.append(file) }
            return file
        }
    }

    @Test(arguments: StoreConformance.Case.allCases)
    func `a store in memory keeps the promises of a store`(_ one: StoreConformance.Case) async throws {
        try await StoreConformance { try MemoryStore(byteCount: $0) }.run(one)
    }

    @Test(arguments: FileChoice.all, StoreConformance.Case.allCases)
    func `a store in a file keeps the promises of a store`(
        _ choice: FileChoice, _ one: StoreConformance.Case
    ) async throws {
        let files = OwnedFiles()
        try await StoreConformance(
            reopenStore: { store in
                let file = try #require(store as? FileStore)
                return try FileStore(path: file.path, options: choice.options)
            }
        ) { byteCount in
            var options = choice.options
            options.byteCount = byteCount
            return try FileStore(path: files.make(in: choice.directory).path, options: options)
        }.run(one)
    }

    @Test(arguments: StoreConformance.Case.allCases, [false, true])
    func `a store in front of another one changes nothing by itself`(
        _ one: StoreConformance.Case, answersNow: Bool
    ) async throws {
        try await StoreConformance {
            FaultyStore(try MemoryStore(byteCount: $0), answersNow: answersNow) { _ in .none }
        }.run(one)
    }

    /// A store that has only what it must have: the rest comes from the protocol.
    struct Plain: PageStore {
        let store: MemoryStore
        var byteCount: Int { store.byteCount }
        func read(_ pieces: [StoreRead]) async throws { try await store.read(pieces) }
        func write(_ pieces: [StoreWrite]) async throws { try await store.write(pieces) }
        func flush() async throws {}
    }

    @Test(arguments: StoreConformance.Case.allCases)
    func `what the protocol adds keeps its promises too`(_ one: StoreConformance.Case) async throws {
        let plain = Plain(store: try MemoryStore(byteCount: 1))
        #expect(!plain.writesFromRegions)
        #expect(try plain.readNow(0..<1) == nil)
        try await StoreConformance { Plain(store: try MemoryStore(byteCount: $0)) }.run(one)
    }

    @Test func `pieces can be cut, and lend their bytes`() throws {
        let memory = try PageMemory(byteCount: 100)
        #expect(memory.byteCount == SystemPage.size)
        memory.write(Array(0..<100), at: 0)
        let write = StoreWrite(memory, 10..<60, to: 1000).part(5..<20)
        #expect(write.range == 1005..<1020)
        #expect(write.readBytes() == Array(15..<30))
        #expect(write.withBytes { $0.byteCount } == 15)
        let read = StoreRead(from: 7, into: memory, 20..<40).part(10..<20)
        #expect(read.range == 17..<27)
        read.write([9, 9], at: 3)
        read.zero(from: 8)
        #expect(memory.readBytes(28..<42) == [28, 29, 30, 31, 32, 9, 9, 35, 36, 37, 0, 0, 40, 41])
        #expect(read.withMutableBytes { $0.byteCount } == 10)
        #expect(memory.withBytes(33..<35) { $0.byteCount } == 2)
    }
}

extension StoredBytes {
    var isZero: Bool { if case .zero = self { true } else { false } }
}
