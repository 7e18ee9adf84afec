internal import EventReactor
internal import Faultline

extension ClientCore: EndOfTurnWork {
    /// Requests of one turn go out together.
    func schedulePump() { reactor.scheduleEndOfTurn(self) }

    func endOfTurn() { pump() }

    /// Sends what may be sent.
    func pump() {
        guard phase == .ready || phase == .replaying else { return }
        queue.value.writeRoom = unflushedLimit - log.memoryByteCount
        if queue.value.waitsForWriteRoom, queue.value.sentWriteByteCount == 0 { makeRoom() }
        while output.count < Self.outputMark,
            let request = phase == .replaying ? replay.next() : queue.value.next()
        {
            guard append(request) else {
                return disconnect(RemoteError(.system, "there is no memory for a request"))
            }
        }
        sendOutput()
    }

    private func append(_ request: Request<Part>) -> Bool {
        statistics.requests += 1
        let kind: FrameKind =
            switch request.kind {
            case .read: .read
            case .write: .write
            case .trim: .trim
            case .flush: .flush
            }
        var header = FrameHeader(
            kind, flags: request.isUrgent ? .urgent : [], number: request.number,
            offset: UInt64(request.range.lowerBound), count: UInt64(request.range.count))
        switch request.payload {
        case .write(_, let memory, let offset):
            return memory.withBytes(offset..<offset + request.range.count) { output.append(header, $0) }
        case .flush:
            header.offset = 0
            flushMarks[request.number] = log.nextNumber
        default: break
        }
        return output.append(header)
    }

    func send(_ header: FrameHeader, _ payload: [UInt8] = []) {
        guard output.append(header, payload) else {
            return disconnect(RemoteError(.system, "there is no memory for a request"))
        }
        sendOutput()
    }

    func sendOutput() {
        guard let stream, output.count > 0 else { return }
        do throws(ReactorError) {
            _ = try output.send(stream)
            stream.wantsWritable = output.count > 0
        } catch {
            disconnect(RemoteError(error))
        }
    }
}
