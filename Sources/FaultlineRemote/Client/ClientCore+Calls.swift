internal import EventReactor
internal import Faultline

extension ClientCore {
    /// Does a call and suspends until it is done. Any thread.
    nonisolated(nonsending) func perform(_ work: RemoteCall.Work) async throws {
        let call = RemoteCall(work)
        await withTaskCancellationHandler {
            await TaskWaiter.wait(on: reactor) { waiter in
                call.waiter = waiter
                if reactor.isOnLoop { begin(call) } else { reactor.execute { self.begin(call) } }
            }
        } onCancel: {
            if reactor.isOnLoop { cancel(call) } else { reactor.execute { self.cancel(call) } }
        }
        if call.isFinished, let error = call.error { throw error }
    }

    private func begin(_ call: RemoteCall) {
        if call.isCancelled { return call.finish(RemoteError.cancelled()) }
        if let closedBecause { return call.finish(closedBecause) }
        if hasGivenUp { return call.finish(disconnection) }
        lastCall += 1
        call.number = lastCall
        // Not to end before all of it has begun.
        call.remaining = 1
        switch call.work {
        case .read(let pieces):
            let isUrgent = pieces.reduce(0) { $0 + $1.byteCount } <= options.urgentByteCount
            for piece in pieces { add(piece, isUrgent, call) }
        case .write(let memory, let ranges):
            var position = 0
            for range in ranges {
                for part in parts(of: range) {
                    call.remaining += 1
                    let offset = position + part.lowerBound - range.lowerBound
                    queue.value.add(
                        .write, part, isUrgent: false, call: call.number, .write(call, memory, at: offset))
                }
                position += range.count
            }
        case .trim(let ranges):
            for range in ranges where !range.isEmpty {
                call.remaining += 1
                queue.value.add(.trim, range, isUrgent: false, call: call.number, .trim(call))
            }
        case .flush:
            call.remaining += 1
            queue.value.add(.flush, 0..<0, isUrgent: true, call: call.number, .flush(call))
        }
        schedulePump()
        call.end(nil)
    }

    private func add(_ piece: StoreRead, _ isUrgent: Bool, _ call: RemoteCall) {
        // What lies behind the end is zero, and need not be asked for.
        let known = max(min(piece.byteCount, (terms?.byteCount ?? 0) - piece.offset), 0)
        if known < piece.byteCount { piece.zero(from: known) }
        let range = piece.offset..<piece.offset + known
        // What a fault asks for is one part.
        if known == piece.byteCount, range.lowerBound & -partLimit == (range.upperBound - 1) & -partLimit {
            call.remaining += 1
            queue.value.add(.read, range, isUrgent: isUrgent, call: call.number, .read(call, piece))
            return
        }
        for part in parts(of: range) {
            call.remaining += 1
            let target = piece.part(part.lowerBound - piece.offset..<part.upperBound - piece.offset)
            queue.value.add(.read, part, isUrgent: isUrgent, call: call.number, .read(call, target))
        }
    }

    /// The range in parts that one request may carry, cut where all others are.
    private func parts(of range: Range<Int>) -> [Range<Int>] {
        let limit = partLimit
        return range.isEmpty
            ? []
            : stride(from: range.lowerBound / limit * limit, to: range.upperBound, by: limit).map {
                range.clamped(to: $0..<$0 + limit)
            }
    }

    /// How much one request carries at most: a power of two, so that pages are not cut.
    func setPartLimit(_ terms: Terms) {
        let limit = max(min(options.partByteCount, terms.requestByteLimit), 4096)
        partLimit = 1 << (Int.bitWidth - 1 - limit.leadingZeroBitCount)
    }

    private func cancel(_ call: RemoteCall) {
        call.isCancelled = true
        guard call.number != 0, !call.isFinished else { return }
        queue.value.cancel(call: call.number)
        call.finish(RemoteError.cancelled())
    }
}
