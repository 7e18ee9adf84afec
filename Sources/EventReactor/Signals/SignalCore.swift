import Synchronization

/// What a signal stream is on the loop thread.
///
/// `@unchecked Sendable`: only the loop thread touches its variables; after the loop's end whoever drains it does.
final class SignalCore: ShutdownParticipant, @unchecked Sendable {
    let loop: LoopState
    private var events: [LibeventEvent] = []
    private(set) var closedBecause: ReactorError?
    /// As a connection's.
    let isClosed = Atomic(false)
    /// In the order of the first of each number.
    private var pending: [SignalStream.Delivery] = []
    private var receivers = OperationQueue<ReceiveOperation>()

    init(_ loop: LoopState, _ numbers: [CInt]) throws(ReactorError) {
        self.loop = loop
        guard loop.phase == .running else { throw .shutDown }
        try SignalOwner.take(for: loop.base.identity)
        do throws(ReactorError) {
            for number in Set(numbers) {
                let event = try LibeventEvent(loop.base, signal: number, of: self)
                events.append(event)
                try event.add()
            }
        } catch {
            stop()
            throw error
        }
        loop.participants[ObjectIdentifier(self)] = self
    }

    func received(_ number: CInt) {
        loop.callbackBegins()
        loop.statistics.callbacks &+= 1
        if let receiver = receivers.popFirst() {
            receiver.finish(.success(.init(signal: number, count: 1)))
        } else if let index = pending.firstIndex(where: { $0.signal == number }) {
            pending[index].count += 1
        } else {
            pending.append(.init(signal: number, count: 1))
        }
    }

    /// A delivery, or the end, if there is one without waiting.
    func receiveNow() -> Result<SignalStream.Delivery, ReactorError>? {
        if !pending.isEmpty { return .success(pending.removeFirst()) }
        if let closedBecause { return .failure(closedBecause) }
        return nil
    }

    func append(_ receiver: ReceiveOperation) { receivers.append(receiver) }

    func remove(_ receiver: ReceiveOperation) { receivers.remove(receiver) }

    func reactorShutsDown() { close(.shutDown) }

    /// Gives the signals back their former dispositions. What came before can still be received.
    func close(_ reason: ReactorError) {
        guard closedBecause == nil else { return }
        closedBecause = reason
        isClosed.store(true, ordering: .relaxed)
        loop.participants[ObjectIdentifier(self)] = nil
        stop()
        while let receiver = receivers.popFirst() { receiver.finish(.failure(reason)) }
    }

    private func stop() {
        for event in events { event.free() }
        events = []
        SignalOwner.release()
    }
}

/// Takes a delivery, or waits for one.
///
/// `@unchecked Sendable`: as the class above it; its own properties are constants.
final class ReceiveOperation: LoopOperation<SignalStream.Delivery>, @unchecked Sendable {
    private let core: SignalCore

    init(_ core: SignalCore) {
        self.core = core
        super.init(on: core.loop)
    }

    override func begin() {
        if let result = core.receiveNow() { finish(result) } else { core.append(self) }
    }

    override func abandon() { core.remove(self) }
}
