import EventReactor
import Faultline
import FaultlineRemote
import FaultlineTestKit
import Testing
import Userfault

/// A store behind a page server keeps all the promises of a store.
@Suite(.timeLimit(.minutes(5)))
struct ConformanceTests {
    enum Behind: String, CaseIterable {
        /// Answered at once.
        case memory
        /// Everything takes the long way.
        case late
        case file

        func make(_ byteCount: Int, _ files: Files) throws -> any PageStore {
            switch self {
            case .memory: return try MemoryStore(byteCount: byteCount)
            case .late:
                return FaultyStore(try MemoryStore(byteCount: byteCount)) { _ in
                    await Task.yield()
                    return .none
                }
            case .file:
                return try FileStore(
                    path: files.make(), options: FileStore.Options(byteCount: byteCount, isSparse: true))
            }
        }
    }

    final class Files: Sendable {
        private let files = Lock<[TemporaryFile]>([])
        func make() -> String {
            let file = TemporaryFile([], in: "/dev/shm")
            files.withLock { $0.append(file) }
            return file.path
        }
    }

    @Test(arguments: Transport.allCases, StoreConformance.Case.allCases)
    func `a remote store keeps the promises of a store`(_ transport: Transport, _ one: StoreConformance.Case)
        async throws
    {
        for behind in Behind.allCases {
            let files = Files()
            try await withReactor { reactor in
                let server = TestServer(transport, on: reactor)
                try await StoreConformance(
                    reopenStore: { _ in
                        // Another client sees what was flushed.
                        try await server.connect()
                    }
                ) { byteCount in
                    try await server.start(try behind.make(byteCount, files))
                    return try await server.connect()
                }.run(one)
                await server.kill()
            }
        }
    }

    @Test(arguments: StoreConformance.Case.allCases)
    func `the same on two reactors, in small parts and small windows`(_ one: StoreConformance.Case)
        async throws
    {
        try await withReactor { serving in
            try await withReactor { reading in
                let server = TestServer(.tcp, on: serving) {
                    $0.requestByteLimit = 4096
                    $0.windowByteCount = 20_000
                    $0.windowRequests = 3
                }
                try await StoreConformance { byteCount in
                    try await server.start(try Behind.late.make(byteCount, Files()))
                    return try await server.connect(on: reading) { $0.bulkByteCount = 4096 }
                }.run(one)
                await server.kill()
            }
        }
    }

    /// The connection breaks again and again, and the server loses what was not flushed each time.
    @Test(arguments: StoreConformance.Case.allCases)
    func `the same while the server crashes all the time`(_ one: StoreConformance.Case) async throws {
        try await withReactor { serving in
            try await withReactor { reading in
                let server = TestServer(.unix, on: serving)
                let crashing = Lock<Task<Void, any Error>?>(nil)
                try await StoreConformance { byteCount in
                    let disk = CrashingDisk([UInt8](repeating: 0, count: byteCount))
                    try await server.start(disk.store)
                    let store = try await server.connect(on: reading)
                    crashing.withLock {
                        $0 = Task {
                            var random = TestRandom(TestSeed())
                            while !Task.isCancelled {
                                await server.kill()
                                disk.crash(&random)
                                try await server.start(disk.store)
                                let statistics = await store.statistics()
                                // It gets something done in between.
                                try await eventually {
                                    let now = await store.statistics()
                                    return Task.isCancelled
                                        || now.isConnected && now.connections > statistics.connections
                                            && (now.pendingRequests == 0
                                                || now.answers > statistics.answers + 2)
                                }
                            }
                        }
                    }
                    return store
                }.run(one)
                let task = crashing.withLock { $0 }
                task?.cancel()
                _ = await task?.result
                await server.kill()
            }
        }
    }
}
