internal import EventReactor
internal import Faultline

// What stores are asked for.
extension ServerConnection {
    /// Answers a read at once, or begins it.
    ///
    /// - Returns: false if it has to wait: as many as may be are under way.
    func read(_ request: FrameHeader) -> Bool {
        guard let store = export?.store else { return false }
        let range = Int(request.offset)..<Int(request.offset + request.count)
        do {
            if let stored = try store.readNow(range), try answer(request, stored, range.count) {
                release(request)
                core.statistics.readByteCount += range.count
                return true
            }
            // Bulk leaves room for urgent ones.
            let isUrgent = request.flags.contains(.urgent)
            guard reads < (isUrgent ? Self.readWidth : Self.readWidth / 2) else { return false }
            begin(request, try core.memory.take(range.count), store)
        } catch {
            reply(request, .failure(error))
        }
        return true
    }

    private func begin(_ request: FrameHeader, _ memory: PageMemory, _ store: any PageStore) {
        let piece = StoreRead(from: Int(request.offset), into: memory, 0..<Int(request.count))
        begin(isRead: true)
        Task(executorPreference: core.reactor) {
            do {
                try await store.read([piece])
                self.ended(request, .bytes(memory, piece.byteCount))
            } catch {
                // A store that goes on writing to the memory harms nobody: it is not used again.
                self.ended(request, .failure(error))
            }
        }
    }

    /// Appends what a store has at hand; false if it has to be read after all.
    private func answer(_ request: FrameHeader, _ stored: StoredBytes, _ count: Int) throws -> Bool {
        var header = FrameHeader(.answer, number: request.number)
        switch stored {
        case .zero:
            header.flags = .zero
            return output.append(header)
        case .bytes(let source, let offset):
            guard offset >= 0, count <= source.byteCount - offset else { return false }
            return try output.append(header, from: source, offset..<offset + count)
        }
    }

    /// Begins a write, a trim or a flush, on a thread that is no reactor's.
    func change(_ request: FrameHeader, _ contents: Range<Int>) {
        guard let store = export?.store else { return }
        let range = Int(clamping: request.offset)..<Int(clamping: request.offset + request.count)
        var memory: PageMemory?
        if request.kind == .write {
            do throws(SystemFailure) {
                let taken = try core.memory.take(range.count)
                input.withBytes(contents) { bytes in
                    taken.withMutableBytes(0..<range.count) { $0.copy(bytes) }
                }
                memory = taken
            } catch {
                return reply(request, .failure(error))
            }
        }
        begin(isRead: false)
        Task(executorPreference: core.writers) { [memory, reactor = core.reactor] in
            var answer = Answer.done
            do {
                switch request.kind {
                case .write:
                    if let memory {
                        try await store.write([StoreWrite(memory, 0..<range.count, to: range.lowerBound)])
                    }
                case .trim: try await store.trim([range])
                default: try await store.flush()
                }
            } catch {
                answer = .failure(error)
            }
            reactor.execute { [answer] in
                // After a failure the store may still be reading from the memory.
                if let memory, case .done = answer {
                    self.core.memory.recycle(memory)
                    self.core.statistics.writtenByteCount += range.count
                }
                self.ended(request, answer)
            }
        }
    }

    private func begin(isRead: Bool) {
        operations += 1
        core.statistics.operations += 1
        if isRead { reads += 1 }
    }

    /// A store is done with a request.
    private func ended(_ request: FrameHeader, _ answer: Answer) {
        operations -= 1
        core.statistics.operations -= 1
        if request.kind == .read { reads -= 1 }
        guard phase != .closed else { return core.drained(client) }
        if case .bytes(_, let count) = answer { core.statistics.readByteCount += count }
        enqueue(request, answer)
        core.reactor.scheduleEndOfTurn(self)
    }
}

extension ServerConnection: EndOfTurnWork {
    func endOfTurn() { pump() }
}

extension ServerConnection.Answer {
    /// What a store threw, as the wire has it.
    static func failure(_ error: any Error) -> Self {
        let status: WireStatus =
            switch (error as? StoreError)?.code {
            case .outOfRange?: .outOfRange
            case .readOnly?: .readOnly
            case .noSpace?: .noSpace
            case .inputOutput?: .inputOutput
            default: .storeFailed
            }
        return .failure(status, "\(error)")
    }
}
