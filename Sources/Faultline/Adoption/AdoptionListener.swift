public import EventReactor

/// Receives memory of other processes: each connects to a UNIX-domain socket and sends a userfaultfd with a description of
/// its memory.
///
/// ```swift
/// let listener = try await AdoptionListener(on: reactor, at: .unix(path: "/run/pages.socket"))
/// try await listener.run { adoption in
///     do {
///         let memory = try await adoption.serve { area in MemoryHandler(image) }
///         try await memory.pager.waitUntilStopped()
///     } catch {
///         log("process \(adoption.process.processID): \(error)")
///     }
/// }
/// ```
///
/// Any task may call everything here. The listener keeps its reactor alive; letting go of the last reference closes it.
public final class AdoptionListener: Sendable {
    /// The reactor on which the memory is served.
    public let reactor: Reactor
    private let listener: Listener
    private let options: Options

    /// Listens for processes that hand their memory over. Goes to the reactor's thread and back.
    ///
    /// - Parameters:
    ///   - reactor: where peers are read and their memory is served.
    ///   - address: a UNIX-domain address. Whoever can reach it is up to the file's permissions and
    ///     ``Options/peerPolicy``.
    ///   - options: how the listener behaves.
    /// - Throws: `ReactorError`: the address is in use or no such, or there is no permission for it.
    public init(
        on reactor: Reactor, at address: SocketAddress, _ options: Options = Options()
    ) async throws(ReactorError) {
        var listening = Listener.Options()
        listening.kind = options.kind
        listening.peerPolicy = options.peerPolicy
        if let onRefusal = options.onRefusal {
            listening.onRefusal = { refusal in
                onRefusal(Refusal(credentials: refusal.credentials, error: HandoverError(.notPermitted)))
            }
        }
        self.reactor = reactor
        self.options = options
        listener = try await reactor.listen(on: address, listening)
    }

    /// Where it listens.
    public var address: SocketAddress { listener.address }

    /// Accepts peers until the listener is closed or the task cancelled, and calls `body` for each that has handed memory
    /// over: in a task of its own, which prefers the reactor. Waits for all of those tasks in the end; they are cancelled
    /// with the caller's. Peers that are refused are reported to ``Options/onRefusal`` and have no further effect.
    ///
    /// - Parameter body: serves the memory; returning from it, with all it made, ends that.
    /// - Throws: `ReactorError` when the reactor is shut down.
    public func run(_ body: @escaping @Sendable (Adoption) async -> Void) async throws(ReactorError) {
        let places = Places(max(1, options.peersAtOnce))
        let ending = await withDiscardingTaskGroup { group in
            while true {
                await places.take()
                do throws(ReactorError) {
                    let socket = try await listener.acceptMessages()
                    group.addTask(executorPreference: reactor) {
                        let adoption = await self.receive(from: socket)
                        places.giveBack()
                        if let adoption { await body(adoption) }
                    }
                } catch {
                    places.giveBack()
                    // A socket for which there was no memory is lost; the next one may be luckier.
                    if error.code != .system { return error }
                }
            }
        }
        if ending.code == .shutDown { throw ending }
    }

    /// Stops listening, and returns when the socket's file is gone. What is in service goes on. Further calls have no effect.
    public func close() async { await listener.close() }

    // MARK: One peer

    /// What the peer hands over; nil if it was refused.
    private func receive(from socket: MessageSocket) async -> Adoption? {
        do throws(HandoverError) {
            guard let credentials = socket.peerCredentials else { throw HandoverError(.notPermitted) }
            let process: ProcessHandle
            do throws(ReactorError) {
                process = try await socket.peerProcess()
            } catch {
                throw HandoverError(error)
            }
            let handed = try await withTimeout { () async throws(HandoverError) in try await self.read(socket)
            }
            return Adoption(handed, process, credentials, socket, options.format)
        } catch {
            options.onRefusal?(Refusal(credentials: socket.peerCredentials, error: error))
            await socket.end(error, options.format)
            return nil
        }
    }

    private func read(_ socket: MessageSocket) async throws(HandoverError) -> HandoverReader.Handed {
        var reader = HandoverReader(options)
        while true {
            let message: MessageSocket.Message?
            do throws(ReactorError) {
                message = try await socket.receive(
                    upTo: reader.byteLimit, descriptors: reader.descriptorLimit)
            } catch {
                throw HandoverError(error)
            }
            guard let message else { throw HandoverError(.ended) }
            if let handed = try reader.add(message) { return handed }
        }
    }

    private func withTimeout(
        _ body: @escaping @Sendable () async throws(HandoverError) -> HandoverReader.Handed
    ) async throws(HandoverError) -> HandoverReader.Handed {
        let (reactor, timeout) = (self.reactor, options.timeout)
        let result = await withTaskGroup(of: Result<HandoverReader.Handed, HandoverError>.self) { group in
            group.addTask(executorPreference: reactor) {
                do throws(HandoverError) { return .success(try await body()) } catch {
                    return .failure(error)
                }
            }
            group.addTask(executorPreference: reactor) {
                do throws(ReactorError) {
                    try await reactor.sleep(for: timeout)
                    return .failure(HandoverError(.timedOut))
                } catch {
                    return .failure(HandoverError(error))
                }
            }
            defer { group.cancelAll() }
            return await group.next() ?? .failure(HandoverError(.timedOut))
        }
        return try result.get()
    }
}
