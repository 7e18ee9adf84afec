extension Reactor {
    /// Connects to a UNIX-domain listener, for messages with descriptors. Any thread; does not block (`connect(2)`).
    ///
    /// If the listener's backlog is full, tries again until there is a place. For a time limit cancel the task.
    ///
    /// - Parameters:
    ///   - address: a UNIX-domain address.
    ///   - kind: what the socket carries: as the listener's.
    ///   - options: what the socket is made with.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Throws: `connectionRefused`, `notLocal`, `badAddress`, `cancelled`, `shutDown`, `system`: no such file, a listener
    ///   of the other kind (`EPROTOTYPE`), no descriptors.
    public func connectMessages(
        to address: SocketAddress, kind: SocketKind = .stream, _ options: MessageSocket.Options = .init(),
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> MessageSocket {
        guard address.port == nil else { throw ReactorError(.notLocal) }
        var delay = Duration.milliseconds(1)
        while true {
            if Task.isCancelled { throw .cancelled }
            let socket = try await run { () throws(ReactorError) in
                try self.connectNow(to: address, kind, options)
            }
            if let socket { return socket }
            // Nothing tells when there is a place in the backlog.
            try await sleep(for: delay)
            delay = min(delay * 2, .milliseconds(100))
        }
    }

    /// Makes a message socket of a connected UNIX-domain socket, one end of a `socketpair(2)` for example. Any thread.
    ///
    /// The socket is made non-blocking and closed on exec, delivers no other control data than descriptors from then on, and
    /// belongs to the new object, which closes it; if this throws, it is still yours.
    ///
    /// - Parameters:
    ///   - descriptor: a stream, or one of sequenced packets.
    ///   - options: what the socket is made with.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Throws: `badDescriptor`, `notLocal`, `wrongSocketKind` for datagrams, `descriptorInUse`, `shutDown`, `system`.
    public func adopt(
        messageSocket descriptor: CInt, _ options: MessageSocket.Options = .init(),
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> MessageSocket {
        try await run { () throws(ReactorError) in
            guard self.loop.phase == .running else { throw .shutDown }
            let kind = try SocketCall.adoptLocal(descriptor)
            return MessageSocket(self, try MessageCore(self.loop, descriptor, kind, options))
        }
    }

    /// Makes a message socket of an accepted or connected one, or closes it. Loop thread only.
    func messageSocket(
        _ descriptor: CInt, _ kind: SocketKind, _ options: MessageSocket.Options
    ) throws(ReactorError) -> MessageSocket {
        do throws(ReactorError) {
            return MessageSocket(self, try MessageCore(loop, descriptor, kind, options))
        } catch {
            SocketCall.close(descriptor)
            throw error
        }
    }

    /// Nil: the listener has no place.
    private func connectNow(
        to address: SocketAddress, _ kind: SocketKind, _ options: MessageSocket.Options
    ) throws(ReactorError) -> MessageSocket? {
        guard loop.phase == .running else { throw .shutDown }
        let descriptor = try SocketCall.make(for: address, kind)
        do throws(ReactorError) {
            switch try SocketCall.connect(descriptor, to: address) {
            case 0: break
            case SocketCall.isFull, SocketCall.wasInterrupted:
                SocketCall.close(descriptor)
                return nil
            case let systemError: throw ReactorError(socket: "connect", systemError)
            }
        } catch {
            SocketCall.close(descriptor)
            throw error
        }
        return try messageSocket(descriptor, kind, options)
    }
}
