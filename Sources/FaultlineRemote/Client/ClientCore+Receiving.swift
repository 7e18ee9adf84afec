internal import EventReactor
internal import Faultline

extension ClientCore: DirectStreamHandler {
    func streamConnected(_ stream: DirectStream) {
        phase = .shakingHands
        let handshake = ClientHandshake(export: export, client: client, secret: secret)
        self.handshake = handshake
        send(FrameHeader(.hello), handshake.hello)
    }

    func streamFailed(_ stream: DirectStream, _ error: ReactorError) {
        if error.code == .shutDown { close(RemoteError(error)) } else { disconnect(RemoteError(error)) }
    }

    func streamIsWritable(_ stream: DirectStream) {
        sendOutput()
        pump()
    }

    func streamIsReadable(_ stream: DirectStream) {
        // A fast server leaves the rest of the loop its time.
        for _ in 0..<4 {
            let received: DirectStream.Received
            let hasRoom: Bool
            do throws(SystemFailure) {
                (received, hasRoom) = try input.receive(stream, room: Self.inputCapacity / 4)
            } catch {
                return disconnect(RemoteError(.system, "there is no memory for an answer: \(error)"))
            }
            switch received {
            case .nothing: return
            case .end:
                return disconnect(
                    RemoteError(.unreachable, "the page server at \(address) closed the connection"))
            case .failed(let error): return disconnect(RemoteError(error))
            case .bytes: hasHeard = true
            }
            isPinged = false
            do throws(RemoteError) {
                try takeFrames()
            } catch {
                return disconnect(error)
            }
            // Whatever came may have ended the connection.
            if hasRoom || self.stream !== stream { return }
        }
    }

    private func takeFrames() throws(RemoteError) {
        while stream != nil {
            let step: FrameDecoder.Step
            let limit =
                phase == .ready || phase == .replaying ? partLimit : ProtocolVersion.handshakeByteLimit
            do throws(FrameError) {
                step = try input.withBytes { bytes throws(FrameError) in
                    try FrameDecoder.next(in: bytes, limit: limit)
                }
            } catch {
                throw RemoteError(error)
            }
            guard case .frame(let header) = step else { return }
            let contents = FrameHeader.byteCount..<FrameHeader.byteCount + header.payloadByteCount
            if phase == .shakingHands {
                try receiveHandshake(header, input.withBytes(contents) { $0.array })
            } else {
                try receive(header, contents)
            }
            if stream != nil { input.drop(contents.upperBound) }
        }
    }

    private func receive(_ header: FrameHeader, _ contents: Range<Int>) throws(RemoteError) {
        guard header.kind == .answer else { throw RemoteError(FrameError.unexpected(header.kind)) }
        // To a ping.
        guard header.number != 0 else { return }
        statistics.answers += 1
        let isReplay = phase == .replaying
        guard let asked = isReplay ? replay.request(header.number) : queue.value.request(header.number) else {
            throw RemoteError(.protocolViolation, "the page server answers what nobody has asked")
        }
        // An answer that makes no sense is none: the question is asked again.
        if header.status == .success { try check(header, asked) }
        guard let request = isReplay ? replay.complete(header.number) : queue.value.complete(header.number)
        else {
            return
        }
        // Its place in the window is free.
        if isReplay || queue.value.waitingCount > 0 { schedulePump() }
        var failure: StoreError?
        if header.status != .success {
            let text = input.withBytes(contents) { $0.array.prefix(512) }
            failure = StoreError(header.status, String(decoding: text, as: UTF8.self), request.range)
        }
        if isReplay { return try replayed(failure) }
        settle(request, header, contents, failure)
    }

    private func check(_ header: FrameHeader, _ request: Request<Part>) throws(RemoteError) {
        let expected = request.kind == .read && !header.flags.contains(.zero) ? request.range.count : 0
        guard header.payloadByteCount == expected, request.kind == .read || header.flags.isEmpty else {
            throw RemoteError(FrameError.badField(.answer, "payload"))
        }
    }

    private func replayed(_ failure: StoreError?) throws(RemoteError) {
        if let failure {
            throw RemoteError(
                .notReplayed,
                "the page server came back without what was written last, and does not take it again: \(failure)"
            )
        }
        if replay.isEmpty { becomeReady(replayedInstance) }
    }
}

extension StoreError {
    /// What went wrong in the server's store, as if it were here.
    init(_ status: WireStatus, _ detail: String, _ range: Range<Int>) {
        let code: Code =
            switch status {
            case .outOfRange: .outOfRange
            case .readOnly: .readOnly
            case .noSpace: .noSpace
            case .inputOutput: .inputOutput
            default: .system
            }
        let said =
            detail.isEmpty ? "the page server's store failed (\(status))" : "on the page server: \(detail)"
        self.init(code, said, range: range.isEmpty ? nil : range)
    }
}
