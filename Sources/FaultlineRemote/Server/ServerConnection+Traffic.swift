internal import EventReactor
internal import Faultline

extension ServerConnection: DirectStreamHandler {
    func streamConnected(_ stream: DirectStream) {}

    func streamFailed(_ stream: DirectStream, _ error: ReactorError) { close() }

    func streamIsWritable(_ stream: DirectStream) {
        sendOutput()
        pump()
    }

    func streamIsReadable(_ stream: DirectStream) {
        let received: DirectStream.Received
        do throws(SystemFailure) {
            (received, _) = try input.receive(stream, room: isServing ? 64 << 10 : 2048)
        } catch {
            return cutOff(RemoteError(.system, "there is no memory for a request: \(error)"))
        }
        switch received {
        case .nothing: return
        case .end, .failed: return close()
        case .bytes(let count): receivedByteCount += count
        }
        if phase == .refused { return input.clear() }
        takeFrames()
        pump()
    }

    /// Takes the requests that have come, as long as the client keeps to its window.
    private func takeFrames() {
        while stream != nil, phase != .refused, !isFull {
            do throws(FrameError) {
                let limit = isServing ? core.options.requestByteLimit : ProtocolVersion.handshakeByteLimit
                let step = try input.withBytes { bytes throws(FrameError) in
                    try FrameDecoder.next(in: bytes, limit: limit)
                }
                guard case .frame(let header) = step else { break }
                let contents = FrameHeader.byteCount..<FrameHeader.byteCount + header.payloadByteCount
                if isServing {
                    try receive(header, contents)
                } else {
                    try receiveHandshake(header, input.withBytes(contents) { $0.array })
                }
                if stream != nil { input.drop(contents.upperBound) }
            } catch {
                return cutOff(RemoteError(error))
            }
        }
        stream?.isReading = !isFull && phase != .finishing
    }

    private var isFull: Bool {
        heldRequests >= core.options.windowRequests || heldByteCount >= core.options.windowByteCount
            || output.count >= Self.outputMark
    }

    private func receive(_ header: FrameHeader, _ contents: Range<Int>) throws(FrameError) {
        guard header.kind.isRequest else { throw .unexpected(header.kind) }
        if header.kind == .ping { return send(FrameHeader(.answer)) }
        guard header.number != 0 else { throw .badField(header.kind, "number") }
        core.statistics.requests += 1
        heldRequests += 1
        heldByteCount += Self.byteCount(header)
        let isUrgent = header.flags.contains(.urgent)
        if let (status, text) = refusal(of: header) {
            enqueue(header, .failure(status, text))
        } else if header.kind == .read {
            if isUrgent { urgent.requests.append(header) } else { bulk.requests.append(header) }
        } else {
            change(header, contents)
        }
    }

    /// What a request takes of the window.
    static func byteCount(_ header: FrameHeader) -> Int {
        header.kind == .read || header.kind == .write ? Int(clamping: header.count) : 0
    }

    /// Why a request cannot be done, if that can be told.
    private func refusal(of header: FrameHeader) -> (WireStatus, String)? {
        guard let export else { return (.malformed, "nothing is exported") }
        if header.kind == .flush { return nil }
        let size = UInt64(export.store.byteCount)
        guard header.count > 0 else { return (.malformed, "a request for no bytes") }
        guard header.offset <= size, header.count <= size - header.offset else {
            return (.outOfRange, "the store has \(size) bytes; ask for less")
        }
        if header.kind != .trim, header.count > UInt64(core.options.requestByteLimit) {
            return (
                .malformed,
                "a request may be for \(core.options.requestByteLimit) bytes; ask for less at a time"
            )
        }
        if header.kind != .read, export.isReadOnly {
            return (.readOnly, "the store is exported for reading only")
        }
        return nil
    }

    func enqueue(_ request: FrameHeader, _ answer: Answer) {
        if request.flags.contains(.urgent) {
            urgent.answers.append((request, answer))
        } else {
            bulk.answers.append((request, answer))
        }
    }

    // MARK: Out

    /// Puts answers into the output while there is room, sends it, and goes on with what was held back of the input.
    func pump() {
        guard isServing else { return }
        var goesOn = true
        while goesOn {
            goesOn = false
            while stream != nil, output.count < Self.outputMark {
                if serveNext(isUrgent: true) {
                    goesOn = true
                    // The client works on the first answers while the rest is served.
                    if output.count >= Self.sendMark { sendOutput() }
                    continue
                }
                guard output.count < Self.bulkMark, serveNext(isUrgent: false) else { break }
                goesOn = true
            }
            // What was not served for want of room may have it now: the socket tells of room only while output is left.
            let hadRoom = output.count < Self.bulkMark
            sendOutput()
            // With room again there is nobody else to go on; without, the socket tells.
            goesOn = stream != nil && output.count < Self.bulkMark && (goesOn || !hadRoom || takeHeldInput())
        }
        if stream != nil { closeIfFinished() }
    }

    /// Takes requests for which there was no room; false if there are none.
    private func takeHeldInput() -> Bool {
        guard phase == .serving, let stream, !stream.isReading, !isFull else { return false }
        takeFrames()
        return phase == .serving
    }

    /// Serves the next of a lane; false if there is none, or it must wait.
    private func serveNext(isUrgent: Bool) -> Bool {
        if let (request, answer) = isUrgent ? urgent.answers.popFirst() : bulk.answers.popFirst() {
            reply(request, answer)
            return stream != nil
        }
        guard let request = isUrgent ? urgent.requests.first : bulk.requests.first, read(request) else {
            return false
        }
        _ = isUrgent ? urgent.requests.popFirst() : bulk.requests.popFirst()
        return stream != nil
    }

    /// A request is over: its place in the window is free.
    func release(_ header: FrameHeader) {
        heldRequests -= 1
        heldByteCount -= Self.byteCount(header)
    }

    func reply(_ request: FrameHeader, _ answer: Answer) {
        release(request)
        var header = FrameHeader(.answer, number: request.number)
        var isAppended = false
        switch answer {
        case .bytes(let memory, let count):
            isAppended = memory.withBytes(0..<count) { output.append(header, $0) }
            core.memory.recycle(memory)
        case .failure(let status, let text):
            header.status = status
            isAppended = output.append(header, Array(text.utf8.prefix(512)))
        case .done: isAppended = output.append(header)
        }
        if !isAppended { cutOff(RemoteError(.system, "there is no memory for an answer")) }
    }

    func send(_ header: FrameHeader, _ payload: [UInt8] = []) {
        guard output.append(header, payload) else {
            return cutOff(RemoteError(.system, "there is no memory for an answer"))
        }
        sendOutput()
    }

    private func sendOutput() {
        guard let stream, output.count > 0 else { return }
        do throws(ReactorError) {
            sentByteCount += try output.send(stream)
            stream.wantsWritable = output.count > 0
        } catch {
            close()
        }
    }
}
