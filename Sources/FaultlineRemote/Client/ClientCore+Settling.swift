internal import EventReactor
internal import Faultline

// What becomes of a call when its answer has come.
extension ClientCore {
    func settle(
        _ request: Request<Part>, _ header: FrameHeader, _ contents: Range<Int>, _ failure: StoreError?
    ) {
        switch request.payload {
        case .read(let call, let target):
            if failure == nil {
                statistics.readByteCount += request.range.count
                if header.flags.contains(.zero) {
                    target.zero()
                } else {
                    input.withBytes(contents) { bytes in target.withMutableBytes { $0.copy(bytes) } }
                }
            }
            call.end(failure)
        case .write(let call, _, _), .trim(let call):
            if failure == nil { written(request) }
            call?.end(failure)
        case .flush(let call): flushed(request, call, failure)
        case nil:
            // Nobody waits for a flush any more: what it made durable is so all the same.
            if request.kind == .flush { flushed(request, nil, failure) }
        }
    }

    private func written(_ request: Request<Part>) {
        statistics.writtenByteCount += request.byteCount
        // The call is over; only its bytes are kept.
        var kept: Part?
        if case .write(_, let memory, let offset) = request.payload { kept = .write(nil, memory, at: offset) }
        log.append(request.range, kept)
        if log.memoryByteCount >= unflushedLimit / 2 { makeRoom() }
    }

    var unflushedLimit: Int { max(options.unflushedByteLimit, 1 << 20) }

    /// Has the server flush, so that less need be kept here.
    func makeRoom() {
        guard !isMakingRoom else { return }
        isMakingRoom = true
        queue.value.add(.flush, 0..<0, isUrgent: true, call: 0, .flush(nil))
        schedulePump()
    }

    private func flushed(_ request: Request<Part>, _ call: RemoteCall?, _ failure: StoreError?) {
        let mark = flushMarks.removeValue(forKey: request.number)
        if request.call == 0 { isMakingRoom = false }
        guard let failure else {
            if let mark { log.forget(before: mark) }
            call?.end(nil)
            return
        }
        if request.call == 0 {
            for write in queue.value.takeWaiting(where: { $0.kind == .write }) {
                write.payload?.call?.end(failure)
            }
        }
        call?.end(failure)
        // A system tells of a write that was lost once: the next flush would succeed without it. So everything is written again.
        mustReplay = true
        disconnect(
            RemoteError(.notReplayed, "the store of the page server could not be flushed: \(failure)"))
    }
}
