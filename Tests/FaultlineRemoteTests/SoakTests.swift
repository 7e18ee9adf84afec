import EventReactor
import Faultline
import FaultlineRemote
import FaultlineTestKit
import Glibc
import Synchronization
import Testing
import Userfault

/// Threads that read and write a region over a remote store, whose server crashes and loses what was not flushed, again and
/// again. `FAULTLINE_SOAK_SECONDS` says for how long; a few seconds by default.
@Suite(.requiresUserfaultfd([.writeProtectFaults]), .timeLimit(.minutes(5 + Soak.seconds / 60)))
struct SoakTests {
    @Test func `no wrong byte, no parked thread, no descriptor left, however often the server crashes`() async
    {
        await #expect(processExitsWith: .success) {
            let seed = TestSeed()
            let seconds = Soak.seconds
            // What the runtime opens once is not counted.
            try await Soak(seed).run(for: .milliseconds(300), crashes: 1)
            let descriptors = Soak.descriptors
            let soak = Soak(seed)
            try await soak.run(for: .seconds(seconds), crashes: 3)
            #expect(Soak.descriptors == descriptors, "\(seed)")
        }
    }
}

struct Soak: Sendable {
    static let pages = 512
    static let threads = 6
    let page = SystemPage.size
    let seed: TestSeed

    init(_ seed: TestSeed) { self.seed = seed }

    static var seconds: Int {
        guard let value = unsafe getenv("FAULTLINE_SOAK_SECONDS") else { return 3 }
        return unsafe Int(String(cString: value)) ?? 3
    }

    /// How many descriptors are open.
    static var descriptors: Int { (0..<4096).count { fcntl(Int32($0), F_GETFD) >= 0 } }

    /// Runs for at least `duration`, and until the server has crashed so many times.
    func run(for duration: Duration, crashes least: Int) async throws {
        let serving = try Reactor.start()
        let reactor = try Reactor.start()
        let server = TestServer(.tcp, on: serving)
        let disk = CrashingDisk([UInt8](repeating: 0, count: Self.pages * page))
        try await server.start(disk.store)
        let store = try await server.connect(on: reactor) { $0.unflushedByteLimit = 1 << 20 }
        let failures = Log<FaultFailure>()
        let pager = try await Pager(on: reactor, configuration: .init(onFailure: { failures.add($0) }))
        let region = try await pager.map(
            store: store, budget: try MemoryBudget(byteCount: 128 * page),
            options: RegionOptions(readAhead: .adaptive))
        let stops = Stop()
        let workers = (0..<Self.threads).map { thread in
            FaultingThread { work(region, thread, stops) }
        }
        let clock = ContinuousClock()
        let end = clock.now + duration
        var random = TestRandom(seed, stream: 99)
        var crashes = 0
        while clock.now < end || crashes < least {
            try await Task.sleep(for: .milliseconds(20 + random.below(200)))
            if random.chance(40) { try await region.flush() }
            // Some crashes in the midst of a flush.
            async let flushed: Void = region.flush()
            if random.chance(60) { try await crash(server, disk, &random) } else { continue }
            crashes += 1
            try await flushed
        }
        stops.flag.store(true, ordering: .relaxed)
        var counts: [[UInt64]] = []
        for worker in workers {
            let result = await worker.value
            #expect(result.wrong == 0, "bytes that nobody has written; \(seed)")
            counts.append(result.counts)
        }
        try await region.flush()
        #expect(failures.all.isEmpty, "\(failures.all.map(\.error)); \(seed)")
        // A last crash: what was flushed is what there is.
        try await crash(server, disk, &random)
        let durable = disk.durable
        for number in 0..<Self.pages {
            for thread in 0..<Self.threads {
                let word = (0..<8).reduce(UInt64(0)) {
                    $0 | UInt64(durable[number * page + 8 * thread + $1]) << UInt64(8 * $1)
                }
                let expected = counts[thread][number]
                #expect(word == expected, "page \(number), thread \(thread); \(seed)")
            }
        }
        // What was read ahead may still be on its way.
        try await eventually { await pager.statistics.inFlightPages == 0 }
        let statistics = await pager.statistics
        #expect(statistics.dirtyPages == 0)
        #expect(statistics.evictedPages > 0)
        print(
            "soak: \(crashes) crashes, \(disk.lostWrites) writes lost by the disk, \(await store.statistics()), \(statistics.messages) faults"
        )
        await pager.shutdown()
        await store.close()
        await server.kill()
        await reactor.shutdown()
        await serving.shutdown()
    }

    private func crash(_ server: TestServer, _ disk: CrashingDisk, _ random: inout TestRandom) async throws {
        await server.kill()
        disk.crash(&random)
        try await Task.sleep(for: .milliseconds(random.below(30)))
        try await server.start(disk.store)
    }

    private final class Stop: Sendable {
        let flag = Atomic(false)
    }

    struct Result: Sendable {
        var wrong = 0
        /// What the thread's word of each page must be.
        var counts: [UInt64]
    }

    /// Reads, and now and then writes, a word of its own in pages at random.
    private func work(_ region: Region, _ thread: Int, _ stop: Stop) -> Result {
        var random = TestRandom(seed, stream: UInt64(thread))
        var result = Result(counts: [UInt64](repeating: 0, count: Self.pages))
        while !stop.flag.load(ordering: .relaxed) {
            let number = random.below(Self.pages)
            let offset = number * region.pageSize + 8 * thread
            if region.load(fromByteOffset: offset, as: UInt64.self) != result.counts[number] {
                result.wrong += 1
            }
            if random.chance(30) {
                result.counts[number] += 1
                region.store(result.counts[number], toByteOffset: offset)
            }
        }
        return result
    }
}
