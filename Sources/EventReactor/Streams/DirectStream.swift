/// What a ``DirectStream`` calls, synchronously and on the loop thread. The calls must not block.
package protocol DirectStreamHandler: AnyObject {
    /// The connection is made. Not called for a stream that was accepted.
    func streamConnected(_ stream: DirectStream)
    /// Bytes are there, or the end, or an error: call ``DirectStream/receive(into:)``. Called in every turn until it is taken.
    func streamIsReadable(_ stream: DirectStream)
    /// The socket takes bytes again; only while ``DirectStream/wantsWritable`` is set.
    func streamIsWritable(_ stream: DirectStream)
    /// It could not be connected, or the reactor shut down; the stream is closed.
    func streamFailed(_ stream: DirectStream, _ error: ReactorError)
}

/// A connected stream socket without a buffer in between: who needs every byte where it belongs, and a word in how much is
/// received in one turn, has it from the kernel directly. ``Connection`` is for everybody else.
///
/// Loop thread only, from the call that makes it to ``close()``.
///
/// `@unchecked Sendable`: so that it can be handed to the task that asked for it; only the loop thread touches its variables.
package final class DirectStream: ReadinessHandler, @unchecked Sendable {
    /// What a call of ``receive(into:)`` found.
    package enum Received: Equatable {
        case bytes(Int)
        /// Nothing at present.
        case nothing
        /// The peer sends no more.
        case end
        case failed(ReactorError)
    }

    private let loop: LoopState
    private let descriptor: CInt
    private var source: DescriptorSource?
    private weak var handler: (any DirectStreamHandler)?
    private var isConnecting: Bool

    /// Takes over a socket; if this throws, it is closed.
    init(
        _ loop: LoopState, _ descriptor: CInt, isConnecting: Bool, _ options: Connection.Options
    ) throws(ReactorError) {
        self.loop = loop
        self.descriptor = descriptor
        self.isConnecting = isConnecting
        SocketCall.configure(descriptor, options)
        do throws(ReactorError) {
            source = try loop.addDescriptor(
                descriptor, name: "stream", interest: [.readable, .writable], enabled: false, handler: self)
            if isConnecting { try source?.enable(.writable) }
        } catch {
            source?.cancel()
            SocketCall.close(descriptor)
            throw error
        }
    }

    /// Whether it is closed, by either end's doing.
    package var isClosed: Bool { source == nil }

    /// Begins to tell `handler`, which the stream does not keep alive.
    package func start(_ handler: any DirectStreamHandler) {
        self.handler = handler
        if !isConnecting { isReading = true }
    }

    /// Whether the handler is told of what can be received. What is not received holds the peer back.
    package var isReading = false {
        didSet { if isReading != oldValue { watch(.readable, isReading) } }
    }

    /// Whether the handler is told when bytes can be sent.
    package var wantsWritable = false {
        didSet { if wantsWritable != oldValue { watch(.writable, wantsWritable) } }
    }

    private func watch(_ part: Readiness, _ isWatched: Bool) {
        // Cannot fail for the descriptor while it is open; for want of memory the connection fails with the next bytes.
        if isWatched { try? source?.enable(part) } else { source?.disable(part) }
    }

    /// Appends what there is, as much as fits (recv(2)).
    package func receive(into bytes: inout OutputRawSpan) -> Received {
        guard source != nil else { return .failed(.closed) }
        let count = SocketCall.receive(descriptor, into: &bytes)
        if count > 0 { return .bytes(count) }
        if count == 0 { return .end }
        let systemError = CInt(-count)
        return SocketCall.isTemporary(systemError)
            ? .nothing : .failed(ReactorError(socket: "recv", systemError))
    }

    /// Sends as much as the socket takes (send(2), never a SIGPIPE).
    ///
    /// - Returns: how many bytes; zero when the socket takes none at present.
    package func send(_ bytes: RawSpan) throws(ReactorError) -> Int {
        guard source != nil else { throw .closed }
        let count = SocketCall.send(descriptor, bytes, from: 0, atMost: bytes.byteCount)
        if count >= 0 { return count }
        let systemError = CInt(-count)
        guard SocketCall.isTemporary(systemError) else { throw ReactorError(socket: "send", systemError) }
        return 0
    }

    /// Tells the peer that nothing more comes (shutdown(2)). What was sent before arrives, unless the socket is closed while
    /// bytes of the peer are still unread.
    package func finishSending() {
        // Fails only when the peer is gone, which receiving tells.
        if source != nil { _ = SocketCall.finishWriting(descriptor) }
    }

    /// Closes the socket; nothing is told any more. Further calls have no effect.
    package func close() {
        guard let source else { return }
        self.source = nil
        handler = nil
        source.cancel()
        SocketCall.close(descriptor)
    }

    package func descriptorReady(_ readiness: Readiness) {
        guard let handler else { return }
        if isConnecting {
            if let error = SocketCall.pendingError(descriptor) { return fail(error) }
            isConnecting = false
            source?.disable(.writable)
            isReading = true
            return handler.streamConnected(self)
        }
        if readiness.contains(.writable) { handler.streamIsWritable(self) }
        // Either call may close the stream.
        if readiness.contains(.readable), source != nil { handler.streamIsReadable(self) }
    }

    package func descriptorAbandoned() { fail(.shutDown) }

    private func fail(_ error: ReactorError) {
        let handler = self.handler
        close()
        handler?.streamFailed(self, error)
    }
}

extension Reactor {
    /// Begins to connect. Loop thread only; does not block (connect(2)). The handler is told how it went, later.
    ///
    /// - Throws: what can be told at once: `connectionRefused`, `badAddress`, `shutDown`, `system`.
    package func connectDirectly(
        to address: SocketAddress, _ options: Connection.Options, _ handler: any DirectStreamHandler
    ) throws(ReactorError) -> DirectStream {
        requireLoop()
        guard loop.phase == .running else { throw .shutDown }
        let descriptor = try SocketCall.make(for: address)
        let status: CInt
        do throws(ReactorError) {
            status = try SocketCall.connect(descriptor, to: address)
            guard [0, SocketCall.isInProgress, SocketCall.wasInterrupted].contains(status) else {
                throw ReactorError(socket: "connect", status)
            }
        } catch {
            SocketCall.close(descriptor)
            throw error
        }
        // A socket that is connected already is writable: it is told in the next turn like any other.
        let stream = try DirectStream(loop, descriptor, isConnecting: true, options)
        stream.start(handler)
        return stream
    }
}
