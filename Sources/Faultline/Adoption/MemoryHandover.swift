public import EventReactor
public import Userfault

/// The side of the process that hands its memory over, to an ``AdoptionListener`` of another.
///
/// ```swift
/// let descriptor = try Userfaultfd(requesting: [.poison])
/// _ = try descriptor.register(range, modes: .missing)
/// let description = try MemoryDescription([.init(range)])
/// let channel = try await MemoryHandover.send(
///     descriptor, description, to: .unix(path: "/run/pages.socket"), on: reactor)
/// ```
///
/// Keep the descriptor until the verdict is there: if the receiver refuses and nobody else has it, the pages that are not
/// there read as zeroes. After that it is one open file that both have, until both have closed it. Nobody may touch a page
/// that is needed for the handing over itself before the receiver has taken the memory.
public enum MemoryHandover {
    /// Connects to a receiver, hands memory over, and waits for its verdict. Any task; does not block a thread. For a time
    /// limit cancel the task.
    ///
    /// - Parameters:
    ///   - descriptor: enabled, and with the ranges registered; stays yours.
    ///   - description: what is handed over.
    ///   - address: where the receiver listens.
    ///   - kind: what its sockets carry.
    ///   - reactor: what serves this end of the socket.
    /// - Returns: the socket, on which receivers that are told to do so notice that this process is gone: keep it.
    /// - Throws: ``HandoverError``: refused, ended by the receiver, or the socket failed.
    public static func send(
        _ descriptor: borrowing Userfaultfd, _ description: MemoryDescription, to address: SocketAddress,
        kind: SocketKind = .stream, on reactor: Reactor
    ) async throws(HandoverError) -> MessageSocket {
        let socket: MessageSocket
        do {
            socket = try await reactor.connectMessages(to: address, kind: kind)
        } catch {
            throw HandoverError(error)
        }
        try await send(descriptor, description, over: socket)
        return socket
    }

    /// The same over a socket that is connected already.
    ///
    /// - Parameters:
    ///   - descriptor: enabled, and with the ranges registered; stays yours.
    ///   - description: what is handed over.
    ///   - socket: one that the receiver reads a description from, and nothing else.
    /// - Throws: ``HandoverError``: refused, ended by the receiver, or the socket failed.
    public static func send(
        _ descriptor: borrowing Userfaultfd, _ description: MemoryDescription, over socket: MessageSocket
    ) async throws(HandoverError) {
        do {
            let copy = try OwnedDescriptor(duplicating: descriptor.fileDescriptor)
            try await socket.send(description.encoded(), descriptors: [copy])
        } catch {
            // A receiver that refuses in the middle says why, and closes.
            if [.brokenPipe, .connectionReset].contains(error.code),
                let refusal = try? await verdict(of: socket).error
            {
                throw refusal
            }
            throw HandoverError(error)
        }
        if let refusal = try await verdict(of: socket).error { throw refusal }
    }

    private static func verdict(
        of socket: MessageSocket
    ) async throws(HandoverError) -> HandoverFormat.Verdict {
        var bytes: [UInt8] = []
        while bytes.count < HandoverFormat.Verdict.byteCount {
            let message: MessageSocket.Message?
            do {
                message = try await socket.receive(upTo: HandoverFormat.Verdict.byteCount - bytes.count)
            } catch {
                throw HandoverError(error)
            }
            guard let message else { throw HandoverError(.ended) }
            bytes += message.bytes
        }
        guard let verdict = HandoverFormat.Verdict(bytes) else { throw HandoverError(.malformed) }
        return verdict
    }
}
