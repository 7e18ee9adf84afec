internal import EventReactor
internal import Faultline

extension ClientCore {
    func receiveHandshake(_ header: FrameHeader, _ payload: [UInt8]) throws(RemoteError) {
        switch header.kind {
        case .challenge:
            guard let proof = try handshake?.prove(payload) else { return }
            send(FrameHeader(.proof), proof)
        case .welcome:
            guard let terms = try handshake?.terms(payload) else { return }
            try welcome(terms)
        case .refused: throw refusal(header.status, payload)
        default: throw RemoteError(FrameError.unexpected(header.kind))
        }
    }

    private func refusal(_ status: WireStatus, _ payload: [UInt8]) -> RemoteError {
        let said = String(decoding: payload.prefix(512), as: UTF8.self)
        return switch status {
        case .wrongSecret:
            RemoteError(.wrongSecret, "the page server at \(address) has another secret; give both the same")
        case .noCommonVersion:
            RemoteError(.noCommonVersion, "the page server speaks other versions of the protocol: \(said)")
        case .unknownExport:
            RemoteError(
                .unknownExport,
                "the page server at \(address) has no store named '\(export)'; see its exports")
        case .tooManyConnections, .shuttingDown:
            RemoteError(.busy, "the page server at \(address) takes no connection: \(said)")
        default: RemoteError(.protocolViolation, "the page server refuses the connection: \(said)")
        }
    }

    private func welcome(_ terms: Terms) throws(RemoteError) {
        if let known = self.terms {
            guard terms.byteCount == known.byteCount, !terms.isReadOnly || known.isReadOnly,
                terms.requestByteLimit >= partLimit
            else {
                throw RemoteError(
                    .storeChanged,
                    "the store '\(export)' came back with \(terms.byteCount) bytes\(terms.isReadOnly ? ", read-only" : ""); it had \(known.byteCount)"
                )
            }
        } else {
            self.terms = terms
            setPartLimit(terms)
        }
        stop(&deadlineTimer)
        handshake = nil
        statistics.connections += 1
        let window = RequestQueue<Part>.Window(
            requests: terms.windowRequests,
            byteCount: min(terms.windowByteCount, max(options.windowByteCount, partLimit)),
            bulkByteCount: options.bulkByteCount)
        queue.value.window = window
        (hasHeard, isPinged) = (true, false)
        pulseTimer = reactor.startTimer(after: options.keepAlive, self)
        if instance != terms.instance || mustReplay, !log.isEmpty {
            startReplay(window, terms.instance)
        } else {
            becomeReady(terms.instance)
        }
    }

    /// Writes everything again, in order, of which nobody knows whether the server has it still.
    private func startReplay(_ window: RequestQueue<Part>.Window, _ instance: [UInt8]) {
        phase = .replaying
        replayedInstance = instance
        replay = RequestQueue(window: window)
        for entry in log.entries {
            guard case .write(_, let memory, let offset)? = entry.payload else {
                replay.add(.trim, entry.range, isUrgent: false, call: 0, .trim(nil))
                continue
            }
            replay.add(.write, entry.range, isUrgent: false, call: 0, .write(nil, memory, at: offset))
        }
        statistics.replayedByteCount += log.byteCount
        options.onEvent?(.replaying(byteCount: log.byteCount))
        schedulePump()
    }

    func becomeReady(_ instance: [UInt8]) {
        phase = .ready
        self.instance = instance
        mustReplay = false
        hasGivenUp = false
        backoff.reset()
        stop(&patienceTimer)
        if let terms { firstConnection?.resume(.success(terms)) }
        firstConnection = nil
        options.onEvent?(.connected)
        schedulePump()
    }
}
