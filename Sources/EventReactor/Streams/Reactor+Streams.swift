extension Reactor {
    /// Listens for connections. Any thread; goes to the loop thread and back; does not block
    /// (`socket(2)`, `bind(2)`, `listen(2)`).
    ///
    /// - Throws: `addressInUse`, `badAddress`, `notLocal` if the options are for UNIX-domain sockets and the address is
    ///   not; `shutDown`, `system`: no such directory, no permission, no descriptors.
    public func listen(
        on address: SocketAddress, _ options: Listener.Options = .init(),
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> Listener {
        try await run { () throws(ReactorError) in
            guard self.loop.phase == .running else { throw .shutDown }
            let isLocal = address.port == nil
            guard isLocal || options.kind == .stream && options.peerPolicy == nil else {
                throw ReactorError(.notLocal)
            }
            let descriptor = try SocketCall.make(for: address, options.kind)
            var file: SocketFile?
            do throws(ReactorError) {
                file = try SocketCall.bind(descriptor, to: address, options)
                let core = try ListenerCore(self.loop, descriptor, isLocal: isLocal, file: file, options)
                return Listener(self, core, try SocketCall.localAddress(descriptor))
            } catch {
                file?.remove()
                SocketCall.close(descriptor)
                throw error
            }
        }
    }

    /// Connects to a listener, and returns when the connection is made. Any thread; does not block (`connect(2)`).
    ///
    /// If the backlog of a UNIX-domain listener is full, tries again until there is a place. For a time limit
    /// cancel the task.
    ///
    /// - Throws: `connectionRefused`, `timedOut`, `badAddress`, `cancelled`, `shutDown`, `system`:
    ///   no such file, no route, no descriptors.
    public func connect(
        to address: SocketAddress, _ options: Connection.Options = .init(),
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> Connection {
        let core = try await ConnectOperation(loop, address, options).complete(isolation: isolation)
        return Connection(
            self, core, peerCredentials: address.port == nil ? core.peerCredentials : nil)
    }

    /// Makes a connection of a connected stream socket, one end of a `socketpair(2)` for example. Any thread.
    ///
    /// The socket is made non-blocking and belongs to the connection, which closes it; if this throws, it is still
    /// yours.
    ///
    /// - Throws: `badDescriptor`, `unsupportedDescriptor` if it is no stream socket, `shutDown`, `system`.
    public func adopt(
        socket descriptor: CInt, _ options: Connection.Options = .init(),
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> Connection {
        try await run { () throws(ReactorError) in
            try SocketCall.adopt(descriptor)
            let core = try ConnectionCore(self.loop, descriptor, options)
            try core.startReading()
            return Connection(self, core, peerCredentials: SocketCall.peerCredentials(descriptor))
        }
    }

    /// Makes a connection of an accepted socket, or closes it. Loop thread only.
    func connection(
        _ descriptor: CInt, isLocal: Bool, _ options: Connection.Options
    ) throws(ReactorError) -> Connection {
        let core: ConnectionCore
        do throws(ReactorError) {
            core = try ConnectionCore(loop, descriptor, options)
        } catch {
            SocketCall.close(descriptor)
            throw error
        }
        try core.startReading()
        return Connection(self, core, peerCredentials: isLocal ? core.peerCredentials : nil)
    }
}

extension ConnectionCore {
    /// Who is at the other end, if that can be known.
    var peerCredentials: PeerCredentials? {
        closedBecause == nil ? SocketCall.peerCredentials(descriptor) : nil
    }

    /// Starts to read ahead; closes the socket if that fails.
    func startReading() throws(ReactorError) {
        do throws(ReactorError) {
            try stream?.startReading()
        } catch {
            close(error)
            throw error
        }
    }
}
