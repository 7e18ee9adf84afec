import EventReactor
import Glibc
import Synchronization
import Testing

@Suite("Large transfers", .timeLimit(.minutes(5)))
struct ConnectionTransferTests {
    @Test("32 MiB go both ways at once, with bounded buffers on both sides")
    func bothWays() async throws {
        let reactor = try Reactor.start()
        let options = Connection.Options()
        let pair = try await ConnectionPair.make(on: reactor, options)
        let total = 32 << 20
        let piece = pattern(1 << 16)
        let limits = (input: options.inputLimit + 4096, output: options.outputLimit + piece.count)
        try await withThrowingTaskGroup { group in
            for (sender, receiver) in [(pair.near, pair.far), (pair.far, pair.near)] {
                group.addTask(executorPreference: reactor) {
                    for _ in 0..<(total / piece.count) {
                        try await sender.write(piece)
                        let buffered = await sender.bufferedBytes()
                        #expect(buffered.output <= limits.output)
                        #expect(buffered.input <= limits.input)
                    }
                    try await sender.finishWriting()
                }
                group.addTask(executorPreference: reactor) {
                    var received = 0
                    while received < total {
                        let bytes = try await receiver.readExactly(piece.count)
                        if !areSame(bytes, piece) { Issue.record("wrong bytes after \(received)") }
                        received += bytes.count
                    }
                    #expect(try await receiver.read().isEmpty)
                    #expect(received == total)
                }
            }
            try await group.waitForAll()
        }
        await reactor.shutdown()
    }

    @Test("A reader that does not read stops the writer, and nothing is lost")
    func slowReader() async throws {
        let reactor = try Reactor.start()
        var options = Connection.Options()
        options.inputLimit = 10_000
        options.outputLimit = 20_000
        let pair = try await ConnectionPair.make(on: reactor, options, isLocal: true)
        let written = Lock(0)
        let piece = pattern(7000)
        let total = piece.count * 500
        let writing = Task(executorPreference: reactor) {
            for _ in 0..<(total / piece.count) {
                try await pair.near.write(piece)
                written.withLock { $0 += piece.count }
            }
            try await pair.near.finishWriting()
        }
        // Until it stands still: the writer waits, and the kernel's buffers between the two are full.
        var standstill = 0
        var last = -1
        await waitUntil(reactor) {
            let now = written.withLock { $0 }
            let isFull = await pair.near.bufferedBytes().output >= options.outputLimit
            standstill = isFull && now == last ? standstill + 1 : 0
            last = now
            return standstill == 20
        }
        #expect(last < total)
        #expect(await pair.near.bufferedBytes().output < options.outputLimit + piece.count)
        // One read of libevent's past the mark at most.
        let input = await pair.far.bufferedBytes().input
        #expect(input >= options.inputLimit && input < options.inputLimit + 4096)
        var received = 0
        while true {
            let bytes = try await pair.far.read(upTo: 50_000)
            if bytes.isEmpty { break }
            received += bytes.count
        }
        #expect(received == total)
        try await writing.value
        await reactor.shutdown()
    }

    @Test("Connections that are full in both directions cost nothing while nobody reads")
    func idleWhenFull() async throws {
        let reactor = try Reactor.start()
        let pair = try await ConnectionPair.make(on: reactor, isLocal: true)
        try await pair.fill()
        let before = await reactor.statistics().turns
        for _ in 0..<20 { try await reactor.sleep(for: .milliseconds(1)) }
        // A few turns for each of these calls; a loop that spins takes thousands.
        #expect(await reactor.statistics().turns - before < 200)
        await reactor.shutdown()
    }

    @Test("Writes of several tasks keep their order, and each stays in one piece")
    func orderedWriters() async throws {
        let reactor = try Reactor.start()
        var options = Connection.Options()
        options.outputLimit = 1000
        let pair = try await ConnectionPair.make(on: reactor, options)
        let writers = (UInt8(0)..<8).map { number in
            Task(executorPreference: reactor) {
                for round in UInt8(0)..<20 {
                    var bytes = [UInt8](repeating: number, count: 30_000)
                    bytes[0] = round
                    try await pair.near.write(bytes)
                }
            }
        }
        var rounds = [UInt8](repeating: 0, count: 8)
        for _ in 0..<160 {
            let bytes = try await pair.far.readExactly(30_000)
            let number = Int(bytes[1])
            #expect(bytes[0] == rounds[number])
            rounds[number] += 1
            var expected = [UInt8](repeating: bytes[1], count: bytes.count)
            expected[0] = bytes[0]
            #expect(areSame(bytes, expected))
        }
        for writer in writers { try await writer.value }
        await reactor.shutdown()
    }

    @Test(
        "A firehose starves neither a timer nor another connection, whichever way it runs",
        arguments: [true, false])
    func firehose(incoming: Bool) async throws {
        let turns = LargestTurn()
        var configuration = Reactor.Configuration(name: "firehose")
        configuration.turnObserver = turns
        let reactor = try Reactor.start(configuration)
        let elsewhere = try Reactor.start()
        let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        let there = try await elsewhere.connect(to: listener.address)
        let here = try await listener.accept()
        let (source, sink) = incoming ? (there, here) : (here, there)
        let pouring = Task(executorPreference: source.reactor) {
            let piece = [UInt8](repeating: 1, count: 1 << 16)
            while true {
                try await source.write(piece)
                if !incoming { turns.add(piece.count) }
            }
        }
        let draining = Task(executorPreference: sink.reactor) {
            while true {
                let bytes = try await sink.read()
                if incoming { turns.add(bytes.count) }
                if bytes.isEmpty { break }
            }
        }
        await waitUntil(reactor) { turns.largest > 0 }

        let pair = try await ConnectionPair.make(on: reactor)
        let serving = Task(executorPreference: reactor) { try await echo(pair.far) }
        let before = turns.total
        for await tick in reactor.ticks(every: .milliseconds(1)).prefix(20) {
            #expect(tick.missed >= 0)
            try await pair.near.write("ping")
            #expect(try await pair.near.readExactly(4).count == 4)
        }
        // It went on all the while, and never took more of a turn than its share.
        #expect(turns.total > before)
        #expect(turns.largest <= (incoming ? 64 * 1024 + 4096 : 256 * 1024 + 3 * 65536))
        try await pair.near.finishWriting()
        try await serving.value
        await there.close()
        _ = try? await pouring.value
        _ = try? await draining.value
        await elsewhere.shutdown()
        await reactor.shutdown()
    }
}

/// How many bytes were handled in one turn at most.
private final class LargestTurn: TurnObserver {
    private let current = Atomic(0)
    private let maximum = Atomic(0)
    private let sum = Atomic(0)

    var largest: Int { maximum.load(ordering: .relaxed) }
    var total: Int { sum.load(ordering: .relaxed) }

    func add(_ count: Int) {
        current.add(count, ordering: .relaxed)
        sum.add(count, ordering: .relaxed)
    }

    func turnEnded(_ statistics: TurnStatistics) {
        let bytes = current.exchange(0, ordering: .relaxed)
        if bytes > largest { maximum.store(bytes, ordering: .relaxed) }
    }
}
