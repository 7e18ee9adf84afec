internal import EventReactor
internal import Faultline

extension ServerConnection {
    func receiveHandshake(_ header: FrameHeader, _ payload: [UInt8]) throws(FrameError) {
        switch (header.kind, phase) {
        case (.hello, .hello):
            guard let handshake = try ServerHandshake(payload) else {
                return refuse(
                    .noCommonVersion,
                    RemoteError(
                        .noCommonVersion, "a client speaks no version that this server does; update it"))
            }
            self.handshake = handshake
            phase = .proof
            send(FrameHeader(.challenge), handshake.challenge)
        case (.proof, .proof):
            guard handshake?.accept(payload, core.secret) == true, let name = handshake?.hello.export,
                let identifier = handshake?.hello.client
            else {
                return refuse(.wrongSecret, RemoteError(.wrongSecret, "a client does not know the secret"))
            }
            // Who is not let in does not learn what there is.
            guard let export = core.exports[name] else {
                return refuse(
                    .unknownExport, RemoteError(.unknownExport, "a client asks for a store '\(name)'"))
            }
            self.export = export
            phase = .waiting
            let client = ServerCore.Client(export: name, identifier: identifier)
            self.client = client
            core.admit(self, client)
        default: throw .unexpected(header.kind)
        }
    }

    /// Lets the client in: nothing is left of its former connections.
    func welcome() {
        guard phase == .waiting, let export, let handshake else { return }
        phase = .serving
        self.handshake = nil
        let options = core.options
        let terms = Terms(
            instance: core.instance, byteCount: export.store.byteCount, isReadOnly: export.isReadOnly,
            requestByteLimit: options.requestByteLimit, windowRequests: options.windowRequests,
            windowByteCount: options.windowByteCount)
        core.reactor.cancelTimer(timer)
        watchProgress()
        core.statistics.accepted += 1
        options.onEvent?(.connected(export: handshake.hello.export))
        send(FrameHeader(.welcome), handshake.welcome(terms, core.secret))
    }

    /// Says why the connection is not wanted, and ends it.
    func refuse(_ status: WireStatus, _ error: RemoteError) {
        core.statistics.refused += 1
        core.options.onEvent?(.refused(error))
        send(FrameHeader(.refused, status: status), Array(error.description.utf8.prefix(512)))
        guard phase != .closed, let stream else { return }
        // A socket that is closed with unread bytes takes back what was sent: the client goes first.
        phase = .refused
        stream.finishSending()
        core.reactor.cancelTimer(timer)
        timer = core.reactor.startTimer(after: Self.refusalTime, self)
        stream.start(self)
    }
}
