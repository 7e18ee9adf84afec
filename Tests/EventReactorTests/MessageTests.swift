import CTestSupport
import EventReactor
import Glibc
import Testing

@Suite("Messages with descriptors", .timeLimit(.minutes(5)))
struct MessageTests {
    @Test("Bytes and descriptors arrive, owned and closed on exec", arguments: bothKinds, [true, false])
    func transfer(kind: SocketKind, onLoop: Bool) async throws {
        let reactor = try Reactor.start()
        let ends = try socketPair(kind)
        let near = try await reactor.adopt(messageSocket: ends.0)
        let far = try await reactor.adopt(messageSocket: ends.1)
        #expect(near.kind == kind && near.peerCredentials?.processID == getpid())
        let witness = Witness()
        try await Task(executorPreference: onLoop ? reactor : nil) {
            let sent = try OwnedDescriptor(duplicating: witness.writeEnd)
            async let received = far.receive(descriptors: 2)
            try await near.send(Array("hello".utf8), descriptors: [sent, sent])
            let message = try #require(try await received)
            #expect(message.bytes == Array("hello".utf8))
            try #require(message.descriptors.count == 2)
            let numbers = message.descriptors.map(\.fileDescriptor)
            #expect(Set(numbers + [sent.fileDescriptor, witness.writeEnd]).count == 4)
            for number in numbers { #expect(fcntl(number, F_GETFD) == FD_CLOEXEC) }
            #expect(unsafe write(numbers[1], "x", 1) == 1)
            withExtendedLifetime(message) {}
            // And back, without any.
            try await far.send([1, 2, 3])
            #expect(try await near.receive()?.bytes == [1, 2, 3])
        }.value
        var byte: UInt8 = 0
        #expect(unsafe read(witness.readEnd, &byte, 1) == 1 && byte == UInt8(ascii: "x"))
        #expect(witness.isTheLast())
        await reactor.shutdown()
    }

    @Test(
        "More descriptors than allowed are refused, and none of them is kept",
        arguments: [(3, 1), (2, 1), (1, 0), (253, 252), (253, 0)], bothKinds)
    func tooManyDescriptors(counts: (sent: Int, allowed: Int), kind: SocketKind) async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, kind)
        let witness = Witness()
        try pair.send(10, witness.writeEnd, count: counts.sent)
        await expectCode(.tooManyDescriptors) {
            _ = try await pair.near.receive(descriptors: counts.allowed)
        }
        #expect(witness.isTheLast())
        // The next message is a new one.
        try pair.send(3)
        #expect(try await pair.near.receive()?.bytes == sevens(3))
        close(pair.far)
        await reactor.shutdown()
    }

    @Test("253 descriptors are as many as go")
    func mostDescriptors() async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, .stream)
        let witness = Witness()
        try pair.send(1, witness.writeEnd, count: 253)
        do {
            let message = try await pair.near.receive(descriptors: .max)
            #expect(message?.descriptors.count == 253)
        }
        let one = try OwnedDescriptor(duplicating: witness.writeEnd)
        await expectCode(.tooManyDescriptors) {
            try await pair.near.send([1], descriptors: [OwnedDescriptor](repeating: one, count: 254))
        }
        try await pair.near.send([1], descriptors: [OwnedDescriptor](repeating: one, count: 253))
        #expect(ctest_close(one.release()) == 0)
        #expect(one.fileDescriptor == -1 && one.release() == -1)
        await expectCode(.badDescriptor) { try await pair.near.send([1], descriptors: [one]) }
        close(pair.far)
        await reactor.shutdown()
        #expect(witness.isTheLast())
    }

    @Test("A packet that is longer than the limit is refused with what came along")
    func tooLong() async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, .sequencedPackets)
        let witness = Witness()
        try pair.send(101, witness.writeEnd, count: 1)
        try pair.send(100)
        await expectCode(.messageTooLong) { _ = try await pair.near.receive(upTo: 100, descriptors: 1) }
        #expect(witness.isTheLast())
        #expect(try await pair.near.receive(upTo: 100)?.bytes.count == 100)
        await expectCode(.messageTooLong) { try await pair.near.send(sevens(1 << 24)) }
        try await pair.near.send([9])
        #expect(ctest_receive_message(pair.far, 10, nil) == 1)
        close(pair.far)
        await reactor.shutdown()
    }

    @Test("A stream is read in parts, and a part ends with what had descriptors")
    func parts() async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, .stream)
        let witness = Witness()
        try pair.send(10, witness.writeEnd, count: 1)
        try pair.send(5, witness.writeEnd, count: 2)
        try pair.send(5)
        do {
            let first = try #require(try await pair.near.receive(upTo: 4, descriptors: 1))
            #expect(first.bytes.count == 4 && first.descriptors.count == 1)
            // What is left of the first message, and the second.
            let second = try #require(try await pair.near.receive(descriptors: 2))
            #expect(second.bytes.count == 11 && second.descriptors.count == 2)
            let third = try #require(try await pair.near.receive(descriptors: 2))
            #expect(third.bytes.count == 5 && third.descriptors.isEmpty)
        }
        #expect(witness.isTheLast())
        close(pair.far)
        await reactor.shutdown()
    }

    @Test("Empty packets arrive, with and without descriptors; over a stream there are none")
    func empty() async throws {
        let reactor = try Reactor.start()
        let packets = try await MessagePair.make(on: reactor, .sequencedPackets)
        let witness = Witness()
        try packets.send(0, witness.writeEnd, count: 1)
        try packets.send(0)
        do {
            let message = try #require(try await packets.near.receive(descriptors: 1))
            #expect(message.bytes.isEmpty && message.descriptors.count == 1)
            #expect(try await packets.near.receive()?.bytes.isEmpty == true)
        }
        // An empty one and then others before the end.
        try packets.send(0)
        try packets.send(2)
        close(packets.far)
        #expect(try await packets.near.receive()?.bytes.isEmpty == true)
        #expect(try await packets.near.receive()?.bytes.count == 2)
        for _ in 0..<2 { #expect(try await packets.near.receive() == nil) }

        let stream = try await MessagePair.make(on: reactor, .stream)
        try await stream.near.send([])
        let descriptor = try OwnedDescriptor(duplicating: witness.writeEnd)
        await expectCode(.emptyMessage) { try await stream.near.send([], descriptors: [descriptor]) }
        // What the kernel makes of it: nothing arrives.
        #expect(ctest_send_message(stream.far, 0, witness.writeEnd, 1) == 0)
        try stream.send(1)
        #expect(try await stream.near.receive(descriptors: 1)?.descriptors.isEmpty == true)
        close(stream.far)
        close(descriptor.release())
        #expect(witness.isTheLast())
        await reactor.shutdown()
    }

    @Test("What the peer sent before it closed arrives, then the end", arguments: bothKinds)
    func end(kind: SocketKind) async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, kind)
        let waiting = Task { try await pair.near.receive(descriptors: 1)?.bytes.count }
        let witness = Witness()
        try pair.send(3, witness.writeEnd, count: 1)
        #expect(ctest_finish_sending(pair.far) == 0)
        #expect(try await waiting.value == 3)
        for _ in 0..<2 { #expect(try await pair.near.receive() == nil) }
        // The other direction goes on, until it is finished as well.
        try await pair.near.send([1, 2])
        await pair.near.finishSending()
        await expectCode(.closed) { try await pair.near.send([1]) }
        #expect(ctest_receive_message(pair.far, 10, nil) == 2)
        #expect(ctest_receive_message(pair.far, 10, nil) == 0)
        close(pair.far)

        let reset = try await MessagePair.make(on: reactor, kind)
        try await reset.near.send([1])
        close(reset.far)
        for _ in 0..<2 { await expectCode(.connectionReset) { _ = try await reset.near.receive() } }
        await expectCode(.brokenPipe) { for _ in 0..<3 { try await reset.near.send([1]) } }
        await reactor.shutdown()
        #expect(witness.isTheLast())
    }

    @Test("What is under way when the socket is closed is closed with it")
    func unread() async throws {
        let reactor = try Reactor.start()
        let pair = try await MessagePair.make(on: reactor, .stream)
        let witness = Witness()
        try pair.send(3, witness.writeEnd, count: 5)
        await pair.near.close()
        await pair.near.close()
        await expectCode(.closed) { _ = try await pair.near.receive() }
        await expectCode(.closed) { try await pair.near.send([1]) }
        #expect(witness.isTheLast())
        close(pair.far)
        await reactor.shutdown()
    }

    @Test("When there is no room for another descriptor, that is told and nothing is kept")
    func descriptorsRunOut() async {
        await #expect(processExitsWith: .success) {
            let reactor = try Reactor.start()
            let pair = try await MessagePair.make(on: reactor, .stream)
            let witness = Witness()
            try pair.send(1, witness.writeEnd, count: 3)
            #expect(ctest_set_descriptor_limit(UInt64(dup(witness.readEnd)) + 2) == 0)
            do {
                _ = try await pair.near.receive(descriptors: 3)
                Issue.record("nothing was thrown")
            } catch let error as ReactorError {
                #expect(error.code == .tooManyDescriptors && error.systemError == EMFILE)
                #expect(error.description.contains("ulimit"))
            }
            #expect(witness.isTheLast())
            #expect(ctest_set_descriptor_limit(1024) == 0)
            try pair.send(1)
            #expect(try await pair.near.receive()?.bytes == [7])
        }
    }
}
