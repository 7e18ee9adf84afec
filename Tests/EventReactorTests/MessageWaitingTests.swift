import CTestSupport
import EventReactor
import Glibc
import Synchronization
import Testing

@Suite("Waiting for messages", .timeLimit(.minutes(5)))
struct MessageWaitingTests {
    @Test("Large messages of several tasks stay whole and in order, however slowly they are read")
    func backPressure() async throws {
        let reactor = try Reactor.start()
        let ends = try socketPair(.stream)
        #expect(ctest_set_send_buffer(ends.0, 1) == 0)
        let near = try await reactor.adopt(messageSocket: ends.0)
        let far = try await reactor.adopt(messageSocket: ends.1)
        let size = 100_000
        try await withThrowingTaskGroup { group in
            for number in 1...4 {
                group.addTask(executorPreference: number % 2 == 0 ? reactor : nil) {
                    try await near.send([UInt8](repeating: UInt8(number), count: size))
                }
            }
            var received: [UInt8] = []
            while received.count < 4 * size {
                received += try #require(try await far.receive(upTo: 7_000)).bytes
            }
            try await group.waitForAll()
            var seen: Set<UInt8> = []
            for start in stride(from: 0, to: received.count, by: size) {
                seen.insert(received[start])
                let expected = [UInt8](repeating: received[start], count: size)
                #expect(areSame(Array(received[start..<start + size]), expected))
            }
            #expect(seen == [1, 2, 3, 4])
        }
        await reactor.shutdown()
    }

    /// Sends until a message has to wait.
    private func fill(_ pair: MessagePair) async throws -> Task<Void, any Error> {
        let reactor = pair.near.reactor
        while true {
            let done = Flag()
            let task = Task(executorPreference: reactor) {
                try await pair.near.send(sevens(1000))
                done.set()
            }
            for _ in 0..<5 { await reactor.run {} }
            if !done.isSet { return task }
        }
    }

    @Test("A message that waits can be cancelled, and the socket used again")
    func cancelledSend() async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, .sequencedPackets)
        let waiting = try await fill(pair)
        let second = Task { try await pair.near.send([1, 2]) }
        for _ in 0..<5 { await reactor.run {} }
        waiting.cancel()
        await expectCode(.cancelled) { try await waiting.value }
        while true {
            let size = ctest_receive_message(pair.far, 2000, nil)
            if size == 2 { break }
            #expect(size == 1000)
        }
        try await second.value
        close(pair.far)
        await reactor.shutdown()
    }

    @Test("A message that was cancelled when a part of it had gone ends the sending, for the peer as well")
    func cancelledMidway() async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, .stream)
        let long = Task { try await pair.near.send(sevens(1 << 22)) }
        var total = ctest_receive_message(pair.far, 1000, nil)
        #expect(total == 1000)
        let next = Task { try await pair.near.send([1, 2]) }
        for _ in 0..<5 { await reactor.run {} }
        long.cancel()
        await expectCode(.cancelled) { try await long.value }
        await expectCode(.closed) { try await next.value }
        await expectCode(.closed) { try await pair.near.send([1]) }
        while true {
            let size = ctest_receive_message(pair.far, 1 << 20, nil)
            if size <= 0 { break }
            total += size
        }
        #expect(total < 1 << 22)
        // Receiving goes on.
        try pair.send(5)
        #expect(try await pair.near.receive()?.bytes.count == 5)
        close(pair.far)
        await reactor.shutdown()
    }

    @Test(
        "A receiver can be cancelled, and another take its place; two at a time are refused",
        arguments: [true, false])
    func cancelledReceive(onLoop: Bool) async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, .stream)
        let waiting = Task(executorPreference: onLoop ? reactor : nil) { try await pair.near.receive() }
        for _ in 0..<5 { await reactor.run {} }
        await expectCode(.busy) { _ = try await pair.near.receive() }
        waiting.cancel()
        await expectCode(.cancelled) { _ = try await waiting.value }
        try pair.send(4)
        #expect(try await pair.near.receive()?.bytes.count == 4)
        await Task(executorPreference: onLoop ? reactor : nil) {
            unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
            await expectCode(.cancelled) { _ = try await pair.near.receive() }
            await expectCode(.cancelled) { try await pair.near.send([1]) }
        }.value
        close(pair.far)
        await reactor.shutdown()
    }

    @Test("Closing and shutdown let every waiting task go", arguments: [true, false])
    func ended(byShutdown: Bool) async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, .sequencedPackets)
        let receiving = Task { try await pair.near.receive() }
        let sending = try await fill(pair)
        if byShutdown { await reactor.shutdown() } else { await pair.near.close() }
        let code: ReactorError.Code = byShutdown ? .shutDown : .closed
        await expectCode(code) { _ = try await receiving.value }
        await expectCode(code) { try await sending.value }
        await expectCode(code) { _ = try await pair.near.receive() }
        await expectCode(code) { try await pair.near.send([1]) }
        close(pair.far)
        await reactor.shutdown()
    }

    @Test("A flood is taken in portions, one for each turn")
    func portions() async throws {
        let reactor = try Reactor.start()
        var options = MessageSocket.Options()
        options.messagesPerTurn = 4
        let pair = try await MessagePair.make(on: reactor, .sequencedPackets, options)
        for _ in 0..<40 { try pair.send(10) }
        let turns = try await Task(executorPreference: reactor) {
            let before = await reactor.statistics().turns
            for _ in 0..<40 { #expect(try await pair.near.receive()?.bytes.count == 10) }
            for _ in 0..<40 { try await pair.near.send([1]) }
            return await reactor.statistics().turns - before
        }.value
        #expect(turns >= 18)
        close(pair.far)
        await reactor.shutdown()
    }
}

/// Something that happens once.
private final class Flag: Sendable {
    private let value = Atomic(false)
    func set() { value.store(true, ordering: .releasing) }
    var isSet: Bool { value.load(ordering: .acquiring) }
}
