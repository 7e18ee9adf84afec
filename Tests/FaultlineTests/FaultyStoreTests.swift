import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Troubles by rules.
@Suite(.timeLimit(.minutes(5)))
struct FaultyStoreTests {
    let page = SystemPage.size

    private func withStore(
        _ rules: [FaultyStore.Rule], answersNow: Bool = false, seed: TestSeed = TestSeed(),
        _ body: (FaultyStore, MemoryStore) async throws -> Void
    ) async throws {
        let reactor = try Reactor.start()
        let memory = try MemoryStore(copying: [UInt8](repeating: 1, count: 8 * page))
        let store = FaultyStore(
            memory, answersNow: answersNow, clock: reactor.clock, seed: seed, rules: rules)
        let result: Result<Void, any Error>
        do { result = .success(try await body(store, memory)) } catch { result = .failure(error) }
        await reactor.shutdown()
        try result.get()
    }

    @Test(arguments: StoreConformance.Case.allCases)
    func `latency changes nothing but the time`(_ one: StoreConformance.Case) async throws {
        let reactor = try Reactor.start()
        let clock = reactor.clock
        try await StoreConformance {
            FaultyStore(
                try MemoryStore(byteCount: $0), clock: clock, rules: [.delay(.microseconds(50), percent: 30)])
        }.run(one)
        await reactor.shutdown()
    }

    @Test func `delays add up, and a cancelled task does not sit them out`() async throws {
        let rules: [FaultyStore.Rule] = [
            .delay(.milliseconds(3), [.read]), .delay(.milliseconds(4), touching: 0..<1),
            .delay(.seconds(600), [.flush]),
        ]
        try await withStore(rules) { store, _ in
            let elapsed = try await ContinuousClock().measure { _ = try await store.storedBytes(0..<page) }
            #expect(elapsed >= .milliseconds(7))
            let flush = Task { try await store.flush() }
            await until { store.count(.flush) == 1 }
            flush.cancel()
            await #expect(throws: CancellationError.self) { try await flush.value }
        }
    }

    @Test func `errors by operation, by bytes and by count`() async throws {
        let rules: [FaultyStore.Rule] = [
            .fail(StoreError(.inputOutput, "a bad spot"), [.read], touching: page..<2 * page),
            .fail(StoreError(.noSpace, "full"), [.write], occurrences: 2..<4),
            .fail(StoreIsDown(), [.flush, .trim]),
        ]
        try await withStore(rules) { store, _ in
            _ = try await store.storedBytes(0..<page)
            let error = await #expect(throws: StoreError.self) {
                try await store.storedBytes(page - 1..<page + 1)
            }
            #expect(error?.code == .inputOutput)
            for number in 1...5 {
                let isFull = await isThrown { try await store.writeBytes([2], at: page) }
                #expect(isFull == (2...3).contains(number), "write \(number)")
            }
            await #expect(throws: StoreIsDown.self) { try await store.flush() }
            await #expect(throws: StoreIsDown.self) { try await store.trim([0..<1]) }
        }
    }

    @Test func `what is read or written in part fails after the part`() async throws {
        let rules: [FaultyStore.Rule] = [
            .breakOff(after: page + 3, StoreIsDown(), occurrences: 1..<3)
        ]
        try await withStore(rules) { store, memory in
            await #expect(throws: StoreIsDown.self) {
                try await store.writeBytes([UInt8](repeating: 5, count: 2 * page), at: 0)
            }
            #expect(memory.readBytes(page + 2..<page + 4) == [5, 1])
            let target = try PageMemory(byteCount: 2 * page)
            await #expect(throws: StoreIsDown.self) {
                try await store.read([
                    StoreRead(from: 2 * page, into: target, 0..<page),
                    StoreRead(from: 0, into: target, page..<2 * page),
                ])
            }
            #expect(target.readBytes(page - 1..<page + 4) == [1, 5, 5, 5, 0])
            #expect(try await store.storedBytes(0..<1) == [5])
        }
    }

    @Test func `chance is decided by the seed`() async throws {
        let seed = TestSeed()
        var outcomes: [[Bool]] = []
        for _ in 0..<2 {
            try await withStore([.fail(StoreIsDown(), [.read], percent: 50)], seed: seed) { store, _ in
                var failed: [Bool] = []
                for _ in 0..<200 { failed.append(await isThrown { _ = try await store.storedBytes(0..<1) }) }
                outcomes.append(failed)
            }
        }
        #expect(outcomes[0] == outcomes[1])
        let count = outcomes[0].filter(\.self).count
        #expect(count > 40 && count < 160, "\(seed)")
    }

    @Test func `what is at hand can fail too, or not be at hand`() async throws {
        let rules: [FaultyStore.Rule] = [
            .fail(StoreIsDown(), [.readNow], touching: 0..<page),
            .delay(.milliseconds(1), [.readNow], touching: page..<2 * page),
        ]
        try await withStore(rules, answersNow: true) { store, _ in
            #expect(throws: StoreIsDown.self) { try store.readNow(0..<page) }
            let answers = (try store.readNow(page..<2 * page), try store.readNow(2 * page..<3 * page))
            #expect(answers.0 == nil && answers.1 != nil)
        }
    }

    private func isThrown(_ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return false
        } catch {
            return true
        }
    }
}
