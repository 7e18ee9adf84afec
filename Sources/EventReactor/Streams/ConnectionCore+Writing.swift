// The way out: as much as possible is sent where it lies, the rest is copied into the buffer and sent when the socket
// takes it.
extension ConnectionCore {
    /// The error that every further write gets.
    var writingEnd: ReactorError? {
        closedBecause ?? outputFailure ?? (isFinishing ? .closed : nil)
    }

    private var hasRoom: Bool { outputCount < max(1, options.outputLimit) }

    /// Whether a write can be answered at once.
    var canWriteNow: Bool { writers.isEmpty && hasRoom }

    /// Takes all the bytes, whatever the mark is. Also what was queued before the writing was finished.
    func write(_ bytes: RawSpan) throws(ReactorError) {
        if let error = closedBecause ?? outputFailure { throw error }
        var sent = 0
        if outputCount == 0, !bytes.isEmpty {
            sent = try sendNow(bytes)
            if sent == bytes.byteCount { return }
        }
        do throws(ReactorError) {
            try buffer(bytes, from: sent)
        } catch {
            // The stream has a hole now.
            failOutput(error)
            throw error
        }
    }

    private func sendNow(_ bytes: RawSpan) throws(ReactorError) -> Int {
        var sent = 0
        while sent < bytes.byteCount {
            let budget = sendingBudget
            guard budget > 0 else { break }
            let count = SocketCall.send(descriptor, bytes, from: sent, atMost: budget)
            if count < 0 {
                let systemError = CInt(-count)
                if SocketCall.isTemporary(systemError) { break }
                let error = ReactorError(socket: "send", systemError)
                failOutput(error)
                throw error
            }
            sent += count
            sentThisTurn += count
        }
        return sent
    }

    /// What is left of this turn's bytes.
    private var sendingBudget: Int {
        let turn = loop.statistics.turns
        if sendingTurn != turn {
            sendingTurn = turn
            sentThisTurn = 0
        }
        return max(1, options.writtenPerTurn) - sentThisTurn
    }

    private func buffer(_ bytes: RawSpan, from offset: Int) throws(ReactorError) {
        guard bytes.byteCount > offset else { return }
        let output: OutputBuffer
        if let existing = self.output {
            output = existing
        } else {
            output = try OutputBuffer()
            self.output = output
        }
        if outputEvent == nil { outputEvent = try LibeventEvent(loop.base, outputOf: self, descriptor) }
        guard output.append(bytes, from: offset) else {
            throw ReactorError(.system, "evbuffer_add", systemError: SystemCall.outOfMemory)
        }
        outputCount += bytes.byteCount - offset
        if !isWaitingToSend {
            try outputEvent?.add()
            isWaitingToSend = true
        }
    }

    func outputPossible() {
        loop.callbackBegins()
        loop.statistics.callbacks &+= 1
        guard let output, outputCount > 0 else { return stopWaitingToSend() }
        let budget = sendingBudget
        guard budget > 0 else { return }
        let sent = output.send(to: descriptor, atMost: budget)
        if sent < 0 {
            let systemError = CInt(-sent)
            if !SocketCall.isTemporary(systemError) { failOutput(ReactorError(socket: "send", systemError)) }
            return
        }
        sentThisTurn += sent
        outputCount -= sent
        if outputCount <= options.outputLimit / 2 { admitWriters() }
        if outputCount == 0 { outputEmpty() }
    }

    private func admitWriters() {
        while hasRoom, outputFailure == nil, let writer = writers.popFirst() { writer.perform() }
    }

    private func outputEmpty() {
        stopWaitingToSend()
        while let flusher = flushers.popFirst() { flusher.finish(.success(())) }
        tellPeerIfFinished()
    }

    private func stopWaitingToSend() {
        if isWaitingToSend { outputEvent?.remove() }
        isWaitingToSend = false
    }

    /// Half-closes once everything is sent.
    func tellPeerIfFinished() {
        guard isFinishing, !isFinished, outputCount == 0, writers.isEmpty, closedBecause == nil else {
            return
        }
        isFinished = true
        // Fails only when the peer is gone, which reading tells.
        _ = SocketCall.finishWriting(descriptor)
    }

    /// Gives up what was not sent; whoever waits for it gets `error`.
    func failOutput(_ error: ReactorError) {
        if outputFailure == nil { outputFailure = error }
        outputEvent?.free()
        outputEvent = nil
        output?.free()
        output = nil
        outputCount = 0
        isWaitingToSend = false
        while let writer = writers.popFirst() { writer.finish(.failure(error)) }
        while let flusher = flushers.popFirst() { flusher.finish(.failure(error)) }
    }
}

/// A write that waits until there is room.
///
/// `@unchecked Sendable`: as the class above it; its own properties are constants.
final class WriteOperation: LoopOperation<Void>, @unchecked Sendable {
    private let core: ConnectionCore
    private let bytes: [UInt8]

    init(_ core: ConnectionCore, _ bytes: [UInt8]) {
        self.core = core
        self.bytes = bytes
        super.init(on: core.loop)
    }

    override func begin() {
        if let error = core.writingEnd { return finish(.failure(error)) }
        if core.canWriteNow { perform() } else { core.writers.append(self) }
    }

    override func abandon() { core.writers.remove(self) }

    func perform() {
        do throws(ReactorError) {
            try core.write(bytes)
            finish(.success(()))
        } catch {
            finish(.failure(error))
        }
    }
}

/// Waits until everything written so far is with the kernel.
///
/// `@unchecked Sendable`: as the class above it; its own properties are constants.
final class FlushOperation: LoopOperation<Void>, @unchecked Sendable {
    private let core: ConnectionCore
    private let finishes: Bool

    init(_ core: ConnectionCore, finishes: Bool) {
        self.core = core
        self.finishes = finishes
        super.init(on: core.loop)
    }

    override func begin() {
        if let error = core.closedBecause ?? core.outputFailure { return finish(.failure(error)) }
        if finishes {
            core.isFinishing = true
            core.tellPeerIfFinished()
        }
        if core.outputCount == 0, core.writers.isEmpty {
            finish(.success(()))
        } else {
            core.flushers.append(self)
        }
    }

    override func abandon() { core.flushers.remove(self) }
}
