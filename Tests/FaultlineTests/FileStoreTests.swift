import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// What is particular about stores in files.
@Suite(.timeLimit(.minutes(5)))
struct FileStoreTests {
    let page = SystemPage.size

    func write(_ store: some PageStore, _ bytes: [UInt8], at offset: Int) async throws {
        let memory = try PageMemory(byteCount: bytes.count)
        memory.write(bytes, at: 0)
        try await store.write([StoreWrite(memory, 0..<bytes.count, to: offset)])
    }

    func read(_ store: some PageStore, _ range: Range<Int>) async throws -> [UInt8] {
        let memory = try PageMemory(byteCount: range.count)
        try await store.read([StoreRead(from: range.lowerBound, into: memory, 0..<range.count)])
        return memory.readBytes(0..<range.count)
    }

    func code(_ body: () async throws -> Void) async -> StoreError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? StoreError
        }
    }

    @Test func `a file that cannot be opened gives a typed error that says why`() async throws {
        let missing = await code { _ = try FileStore(path: "/nonexistent/faultline") }
        #expect(missing?.code == .system)
        #expect(missing?.systemFailure?.errno == .noEntry)
        #expect(missing?.description.contains("open failed: ENOENT") == true)
        #expect(await code { _ = try FileStore(path: "/tmp") }?.code == .system)
        let options = FileStore.Options(access: .readOnly)
        #expect(await code { _ = try FileStore(path: "/dev/zero", options: options) }?.code == .system)
        let empty = TemporaryFile([])
        #expect(await code { _ = try FileStore(path: empty.path) }?.code == .outOfRange)
    }

    @Test func `a file is made, and made longer, when the options say so`() async throws {
        let file = TemporaryFile([1, 2, 3])
        let longer = try FileStore(path: file.path, options: FileStore.Options(byteCount: 3 * page))
        #expect(longer.byteCount == 3 * page)
        #expect(file.bytes == [1, 2, 3] + [UInt8](repeating: 0, count: 3 * page - 3))
        let shorter = try FileStore(path: file.path, options: FileStore.Options(byteCount: 2))
        #expect(try await read(shorter, 0..<4) == [1, 2, 0, 0], "a store may be the beginning of its file")
        #expect(file.bytes.count == 3 * page)
        let path = file.path + "-new"
        let made = try FileStore(
            path: path, options: FileStore.Options(access: .readWriteCreating, byteCount: page))
        try await write(made, [7], at: page - 1)
        #expect(try await read(FileStore(path: path), page - 2..<page) == [0, 7])
        #expect(made.path == path && TemporaryFile(owning: path).bytes.count == page)
    }

    @Test func `a store for reading is longer than its file without touching it`() async throws {
        let file = TemporaryFile([5, 6])
        let options = FileStore.Options(access: .readOnly, byteCount: 4 * page)
        let store = try FileStore(path: file.path, options: options)
        #expect(try await read(store, 0..<page) == [5, 6] + [UInt8](repeating: 0, count: page - 2))
        #expect(store.readNow(2 * page..<3 * page)?.isZero == true)
        #expect(file.bytes == [5, 6])
        let error = await code { try await write(store, [1], at: 0) }
        #expect(error?.code == .readOnly)
        #expect(error?.range == 0..<1)
        #expect(await code { try await store.trim([0..<1]) }?.code == .readOnly)
    }

    @Test(arguments: [FileStore.Reading.cached, .pooled], [false, true])
    func `what was cut off from a file is an error, not zeroes`(
        reading: FileStore.Reading, isSparse: Bool
    ) async throws {
        let file = TemporaryFile([UInt8](repeating: 9, count: 4 * page))
        let store = try FileStore(
            path: file.path, options: FileStore.Options(reading: reading, isSparse: isSparse))
        #expect(try await read(store, 0..<page) == [UInt8](repeating: 9, count: page))
        file.truncate()
        let error = await code { _ = try await read(store, page..<2 * page) }
        #expect(error?.code == .truncated)
        #expect(error?.range == page..<2 * page)
        #expect(store.readNow(page..<2 * page)?.isZero != true)
    }

    @Test func `bytes that are not in the page cache are not waited for`() async throws {
        let file = TemporaryFile([UInt8](repeating: 9, count: 16 * page))
        let store = try FileStore(path: file.path)
        try #require(store.readNow(0..<16 * page) != nil, "it has just been written")
        try await store.flush()
        try #require(file.dropFromCache())
        #expect(store.readNow(8 * page..<9 * page) == nil)
        #expect(try await read(store, 8 * page..<9 * page) == [UInt8](repeating: 9, count: page))
        #expect(store.readNow(8 * page..<9 * page) != nil, "now it is")
    }

    @Test(arguments: ["/tmp", "/dev/shm"])
    func `pages of zeroes take no space in a sparse store`(directory: String) async throws {
        let file = TemporaryFile([UInt8](repeating: 1, count: 64 * page), in: directory)
        let store = try FileStore(path: file.path, options: FileStore.Options(isSparse: true))
        try await store.flush()
        let before = file.diskByteCount
        try #require(before >= 64 * page)
        var bytes = [UInt8](repeating: 0, count: 32 * page)
        bytes[10 * page + 17] = 3
        try await write(store, bytes, at: 16 * page)
        try await store.flush()
        #expect(file.diskByteCount <= before - 31 * page)
        #expect(store.readNow(17 * page..<20 * page)?.isZero == true, "holes are known without reading")
        #expect(store.readNow(26 * page..<27 * page)?.isZero != true)
        #expect(try await read(store, 16 * page..<48 * page) == bytes)
        #expect(file.bytes[16 * page..<48 * page] == bytes[...])
    }

    @Test(arguments: ["/tmp", "/dev/shm"])
    func `what is trimmed takes no space any more`(directory: String) async throws {
        let file = TemporaryFile([UInt8](repeating: 1, count: 64 * page), in: directory)
        let store = try FileStore(path: file.path)
        try await store.flush()
        let before = file.diskByteCount
        try #require(before >= 64 * page)
        try await store.trim([8 * page..<24 * page, 40 * page..<48 * page])
        try await store.flush()
        #expect(file.diskByteCount <= before - 24 * page)
        #expect(file.bytes.count == 64 * page)
        #expect(try await read(store, 7 * page..<9 * page).filter { $0 == 0 }.count == page)
    }

    /// The kernel puts a page into the cache for each one that is read, for those of holes too.
    @Test func `a sparse file is served without reading its holes`() async throws {
        let file = TemporaryFile([UInt8](repeating: 1, count: 64 * page + 100))
        let byteCount = 64 * page + 100
        let store = try FileStore(
            path: file.path, options: FileStore.Options(reading: .pooled, isSparse: true))
        try await store.trim([0..<16 * page, 20 * page..<40 * page, 44 * page..<64 * page])
        try await store.flush()
        try #require(file.dropFromCache())
        let looker = try FileStore(path: file.path, options: FileStore.Options(access: .readOnly))
        try #require(looker.readNow(18 * page..<19 * page) == nil, "nothing is in the cache")
        var expected = [UInt8](repeating: 0, count: byteCount)
        for data in [16 * page..<20 * page, 40 * page..<44 * page, 64 * page..<byteCount] {
            expected.replaceSubrange(data, with: [UInt8](repeating: 1, count: data.count))
        }
        let bytes = try await read(store, 0..<65 * page)
        #expect(bytes[..<byteCount] == expected[...] && bytes[byteCount...].allSatisfy { $0 == 0 })
        // Under pressure the kernel drops what has just been read, and then the cache tells nothing.
        while looker.readNow(18 * page..<19 * page) == nil { _ = try await read(store, 0..<65 * page) }
        // Not the neighbours of data, which the kernel may read ahead.
        for hole in [0, 8] {
            #expect(looker.readNow(hole * page..<(hole + 1) * page) == nil, "page \(hole) was read")
        }
        #expect(try await read(store, 24 * page..<32 * page).allSatisfy { $0 == 0 })
    }

    /// A page that is written in part is not punched, though what is written of it is zero.
    @Test func `zeroes in a part of a page leave the rest`() async throws {
        let file = TemporaryFile([UInt8](repeating: 1, count: 3 * page + 10))
        let store = try FileStore(path: file.path, options: FileStore.Options(isSparse: true))
        try await write(store, [UInt8](repeating: 0, count: 2 * page), at: 10)
        var expected = [UInt8](repeating: 1, count: 3 * page + 10)
        expected.replaceSubrange(10..<2 * page + 10, with: [UInt8](repeating: 0, count: 2 * page))
        #expect(file.bytes == expected)
        try await write(store, [UInt8](repeating: 0, count: 10), at: 3 * page)
        expected.replaceSubrange(3 * page..<3 * page + 10, with: [UInt8](repeating: 0, count: 10))
        #expect(file.bytes == expected, "the last page of a store may be a part of one")
    }

    @Test(.enabled(if: LimitedDirectory.isPermitted, "needs the right to mount a small tmpfs"))
    func `a full file system gives a typed error, and the store goes on`() async throws {
        let directory = try #require(LimitedDirectory(byteCount: 64 * page))
        let store = try FileStore(
            path: directory.path + "/store",
            options: FileStore.Options(access: .readWriteCreating, byteCount: 256 * page))
        try await write(store, [UInt8](repeating: 1, count: 32 * page), at: 0)
        let error = await code {
            try await write(store, [UInt8](repeating: 2, count: 64 * page), at: 64 * page)
        }
        #expect(error?.code == .noSpace)
        #expect(error?.systemFailure?.errno == .noSpace)
        #expect(error?.range == 64 * page..<128 * page)
        #expect(try await read(store, 0..<page) == [UInt8](repeating: 1, count: page))
        try await store.trim([64 * page..<128 * page])
        try await write(store, [UInt8](repeating: 3, count: page), at: 64 * page)
        #expect(try await read(store, 64 * page..<65 * page) == [UInt8](repeating: 3, count: page))
    }

    @Test func `a cancelled task is told so`() async throws {
        let file = TemporaryFile([UInt8](repeating: 1, count: page))
        let store = try FileStore(path: file.path)
        let gate = Gate()
        let task = Task {
            await gate.wait()
            return [
                await code { _ = try await read(store, 0..<1) }?.code,
                await code { try await write(store, [1], at: 0) }?.code,
                await code { try await store.flush() }?.code,
                await code { try await store.trim([0..<1]) }?.code,
            ]
        }
        task.cancel()
        gate.open()
        #expect(await task.value == [.cancelled, .cancelled, .cancelled, .cancelled])
    }

    @Test func `errors say what to do`() {
        #expect(StoreError(.noSpace, "no room in this test").description == "no room in this test")
        let error = StoreError(.outOfRange, "too far", range: 3..<9)
        #expect(error.description == "too far (bytes 3..<9)")
        #expect("\(error.code)" == "outOfRange")
    }
}
