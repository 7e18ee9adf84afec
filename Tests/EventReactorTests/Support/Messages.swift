import CTestSupport
import EventReactor
import Glibc
import Testing

/// A message socket whose other end the test has as a number: it can do there what no message socket would.
struct MessagePair: Sendable {
    let near: MessageSocket
    /// Blocks.
    let far: CInt

    static func make(
        on reactor: Reactor, _ kind: SocketKind, _ options: MessageSocket.Options = .init()
    ) async throws -> MessagePair {
        let ends = try socketPair(kind)
        return MessagePair(near: try await reactor.adopt(messageSocket: ends.0, options), far: ends.1)
    }

    /// Sends from the far end bytes that are all 7, and copies of a descriptor.
    func send(_ size: Int, _ descriptor: CInt = -1, count: Int = 0) throws {
        try #require(ctest_send_message(far, UInt64(size), descriptor, CInt(count)) == size)
    }
}

let bothKinds: [SocketKind] = [.stream, .sequencedPackets]

extension SocketKind {
    var native: ctest_socket_kind { self == .stream ? ctest_socket_stream : ctest_socket_packets }
}

/// Two connected numbers.
func socketPair(_ kind: SocketKind) throws -> (CInt, CInt) {
    var ends: [CInt] = [-1, -1]
    try #require(unsafe ctest_socket_pair(kind.native, &ends) == 0)
    return (ends[0], ends[1])
}

func sevens(_ count: Int) -> [UInt8] { [UInt8](repeating: 7, count: count) }

/// A pipe that tells whether anybody still has its writing end, here, in a message under way or in another process.
final class Witness: Sendable {
    let readEnd: CInt
    let writeEnd: CInt

    init() {
        var ends: [CInt] = [-1, -1]
        let status = unsafe pipe(&ends)
        precondition(status == 0, "pipe")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit { close(readEnd) }

    /// Closes the own writing end, once. True if that was the last: no copy of it is left anywhere, but for those that forks of
    /// other tests have for a moment.
    func isTheLast(within milliseconds: CInt = 20_000) -> Bool {
        close(writeEnd)
        var entry = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) == 1 && entry.revents == Int16(POLLHUP)
    }
}

/// The socket's address as a child wants it: `@` for an abstract name.
func peerPath(_ address: SocketAddress) -> String { String(address.description.dropFirst("unix:".count)) }

/// What a forked process does once it is connected; see `ctest_peer`.
struct ForkedPeer {
    var kind = SocketKind.stream
    /// Whom it becomes before, with a supplementary group; 0: nobody else.
    var user: UInt32 = 0
    var group: UInt32 = 0
    var messages = 0
    var size = 1
    /// With each message: copies of one.
    var descriptors = 0
    var descriptor: CInt = -1
    /// It exits with the byte it gets.
    var waitsForAnswer = false
    /// It lives until the last writing end of this pipe is closed.
    var hold: Witness?

    /// Forks it. For exit tests.
    func fork(to address: SocketAddress) throws -> CInt {
        let child = unsafe peerPath(address).withCString { path in
            var peer = unsafe ctest_peer(
                path: path, kind: kind.native, user: user, group: group, messages: CInt(messages),
                size: UInt64(size), descriptors: CInt(descriptors), descriptor: descriptor,
                waits_for_answer: waitsForAnswer ? 1 : 0, hold: hold?.readEnd ?? -1,
                release: hold?.writeEnd ?? -1)
            return unsafe ctest_fork_peer(&peer)
        }
        try #require(child > 0)
        return CInt(child)
    }
}

/// Forks a process that connects. For exit tests.
func forkPeer(to address: SocketAddress, _ change: (inout ForkedPeer) -> Void = { _ in }) throws -> CInt {
    var peer = ForkedPeer()
    change(&peer)
    return try peer.fork(to: address)
}

/// How many descriptors of the kinds that are handed over this process has open, once tasks and other threads have let go of
/// what they hold.
func settledDescriptorCount(_ expected: CInt) async -> CInt {
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(20)
    while ctest_count_handed_descriptors() != expected, clock.now < deadline { await Task.yield() }
    return ctest_count_handed_descriptors()
}
