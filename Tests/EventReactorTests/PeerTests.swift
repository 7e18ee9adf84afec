import CTestSupport
import EventReactor
import Glibc
import Testing

// With real peers, each test in a process of its own: a forked child has copies of all descriptors, which other tests
// would wait for.
@Suite("Peers of other processes", .timeLimit(.minutes(5)))
struct PeerTests {
    @Test("Policies permit whom they say")
    func policies() {
        let own = geteuid()
        let stranger = PeerCredentials(
            processID: 1, userID: own &+ 1, groupID: 10, supplementaryGroupIDs: [20, 21])
        let same = PeerCredentials(processID: 1, userID: own, groupID: 1)
        let root = PeerCredentials(processID: 1, userID: 0, groupID: 0)
        let table: [(PeerPolicy, PeerCredentials, Bool)] = [
            (.anyone, stranger, true), (.sameUser, same, true), (.sameUser, stranger, false),
            (.sameUser, root, own == 0), (.rootOrSameUser, root, true), (.rootOrSameUser, same, true),
            (.rootOrSameUser, stranger, false), (.members(), stranger, false),
            (.members(users: [own &+ 1]), stranger, true), (.members(users: [own]), stranger, false),
            (.members(groups: [10]), stranger, true), (.members(groups: [21]), stranger, true),
            (.members(users: [own], groups: [11]), stranger, false),
            (PeerPolicy { $0.processID == 1 }, stranger, true), (PeerPolicy { _ in false }, same, false),
        ]
        for (index, row) in table.enumerated() { #expect(row.0.permits(row.1) == row.2, "row \(index)") }
    }

    @Test(
        "Another user is refused before a byte is read, and the next one accepted",
        .enabled(if: ctest_is_root() != 0, "needs root, to become others"))
    func refused() async {
        await #expect(processExitsWith: .success) {
            let reactor = try Reactor.start()
            let refusals = Log<Listener.Refusal>()
            var options = Listener.Options()
            options.peerPolicy = .sameUser
            options.onRefusal = { refusals.append($0) }
            let listener = try await reactor.listen(on: .unix(path: "\0" + temporarySocketPath()), options)
            let witness = Witness()
            let child = try forkPeer(to: listener.address) {
                $0.user = 65534
                $0.messages = 1
                $0.descriptors = 1
                $0.descriptor = witness.writeEnd
                $0.waitsForAnswer = true
            }
            // It could not send, or its socket was closed while it waited.
            #expect([4, 5, 6].contains(ctest_wait(child)))
            #expect(refusals.all.map(\.credentials?.processID) == [child])
            #expect(refusals.all.map(\.credentials?.userID) == [65534])
            #expect(await listener.refusedPeers() == 1)
            #expect(await listener.pendingConnections() == 0)

            let own = try forkPeer(to: listener.address) { $0.waitsForAnswer = true }
            let socket = try await listener.acceptMessages()
            #expect(socket.peerCredentials?.processID == own)
            try await socket.send([42])
            #expect(ctest_wait(own) == 42)
            #expect(await listener.refusedPeers() == 1)
            #expect(witness.isTheLast())
        }
    }

    @Test(
        "A supplementary group counts", .enabled(if: ctest_is_root() != 0, "needs root, to become others"))
    func groups() async {
        await #expect(processExitsWith: .success) {
            let reactor = try Reactor.start()
            var options = Listener.Options()
            options.peerPolicy = .members(groups: [4321])
            let listener = try await reactor.listen(on: .unix(path: "\0" + temporarySocketPath()), options)
            let without = try forkPeer(to: listener.address) {
                $0.user = 1234
                $0.waitsForAnswer = true
            }
            #expect([5, 6].contains(ctest_wait(without)))
            let with = try forkPeer(to: listener.address) {
                $0.user = 1234
                $0.group = 4321
                $0.waitsForAnswer = true
            }
            let connection = try await listener.accept()
            #expect(connection.peerCredentials?.userID == 1234)
            #expect(connection.peerCredentials?.groupID == 1234)
            #expect(connection.peerCredentials?.supplementaryGroupIDs == [4321])
            try await connection.write([9])
            #expect(ctest_wait(with) == 9)
        }
    }

    @Test("Twenty processes hand over descriptors at once", arguments: bothKinds)
    func many(kind: SocketKind) async {
        await #expect(processExitsWith: .success) { [isStream = (kind == .stream) as Bool] in
            let kind: SocketKind = isStream ? .stream : .sequencedPackets
            let reactor = try Reactor.start()
            var options = Listener.Options()
            options.kind = kind
            options.peerPolicy = .rootOrSameUser
            let listener = try await reactor.listen(on: .unix(path: temporarySocketPath()), options)
            let witness = Witness()
            var children: [CInt] = []
            for number in 0..<20 {
                children.append(
                    try forkPeer(to: listener.address) {
                        $0.kind = kind
                        $0.messages = 1
                        $0.size = number + 1
                        $0.descriptors = 1
                        $0.descriptor = witness.writeEnd
                        $0.waitsForAnswer = true
                    })
            }
            let answers = try await withThrowingTaskGroup { group in
                for _ in 0..<20 {
                    group.addTask(executorPreference: reactor) {
                        let socket = try await listener.acceptMessages()
                        let message = try #require(try await socket.receive(descriptors: 1))
                        #expect(message.descriptors.count == 1)
                        try await socket.send([UInt8(message.bytes.count)])
                        #expect(try await socket.receive() == nil)
                        return (socket.peerCredentials?.processID ?? 0, message.bytes.count)
                    }
                }
                var answers: [Int32: Int] = [:]
                for try await (process, size) in group { answers[process] = size }
                return answers
            }
            for (number, child) in children.enumerated() {
                #expect(answers[child] == number + 1)
                #expect(ctest_wait(child) == CInt(number + 1))
            }
            await reactor.shutdown()
            #expect(witness.isTheLast())
        }
    }

    @Test("Nothing leaks, whatever peers send and however they end")
    func leaks() async {
        await #expect(processExitsWith: .success) {
            let before = ctest_count_handed_descriptors()
            do {
                let reactor = try Reactor.start()
                let listener = try await reactor.listen(on: .unix(path: temporarySocketPath()))
                let witness = Witness()
                // Killed midway, too many descriptors, none received, received and dropped.
                for (count, allowed) in [(1, 1), (5, 2), (200, 0), (2, 2)] {
                    let hold = Witness()
                    let child = try forkPeer(to: listener.address) {
                        $0.messages = 2
                        $0.descriptors = count
                        $0.descriptor = witness.writeEnd
                        $0.hold = hold
                    }
                    let socket = try await listener.acceptMessages()
                    if count <= allowed {
                        #expect(try await socket.receive(descriptors: allowed)?.descriptors.count == count)
                    } else {
                        await expectCode(.tooManyDescriptors) {
                            _ = try await socket.receive(descriptors: allowed)
                        }
                    }
                    #expect(ctest_kill(child) == 0)
                    #expect(ctest_wait(child) == -1000 - SIGKILL)
                    // The second message is there still, if it was sent in time; then comes the end.
                    if count == 2, let second = try await socket.receive(descriptors: 2) {
                        #expect(second.descriptors.count == 2)
                        #expect(try await socket.receive() == nil)
                    }
                    _ = hold.isTheLast(within: 0)
                }
                await reactor.shutdown()
                #expect(witness.isTheLast())
            }
            #expect(await settledDescriptorCount(before) == before)
        }
    }
}
