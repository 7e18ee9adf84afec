import Synchronization

/// What a process handle is on the loop thread.
///
/// `@unchecked Sendable`: only the loop thread touches its variables; after the loop's end whoever drains it does.
final class ProcessCore: ShutdownParticipant, ReadinessHandler, @unchecked Sendable {
    let loop: LoopState
    private let descriptor: CInt
    private var source: DescriptorSource?
    private var closedBecause: ReactorError?
    /// As a connection's.
    let isClosed = Atomic(false)
    private(set) var hasExited = false
    private var waiters = OperationQueue<ExitOperation>()
    private var observers: [any ProcessExitObserver] = []

    /// Takes over a pidfd; if this throws, it is closed.
    init(_ loop: LoopState, _ descriptor: CInt) throws(ReactorError) {
        self.loop = loop
        self.descriptor = descriptor
        do throws(ReactorError) {
            source = try loop.addDescriptor(
                descriptor, name: "process", interest: .readable, enabled: true, handler: self)
        } catch {
            SocketCall.close(descriptor)
            throw error
        }
        loop.participants[ObjectIdentifier(self)] = self
    }

    func descriptorReady(_ readiness: Readiness) {
        hasExited = true
        source?.cancel()
        source = nil
        while let waiter = waiters.popFirst() { waiter.finish(.success(())) }
        let observers = self.observers
        self.observers = []
        for observer in observers { observer.processExited() }
    }

    func begin(_ operation: ExitOperation) {
        if hasExited { return operation.finish(.success(())) }
        if let closedBecause { return operation.finish(.failure(closedBecause)) }
        waiters.append(operation)
    }

    func abandon(_ operation: ExitOperation) { waiters.remove(operation) }

    func add(_ observer: any ProcessExitObserver) {
        if hasExited { observer.processExited() } else if closedBecause == nil { observers.append(observer) }
    }

    func remove(_ observer: any ProcessExitObserver) { observers.removeAll { $0 === observer } }

    func reactorShutsDown() { close(.shutDown) }

    func close(_ reason: ReactorError) {
        guard closedBecause == nil else { return }
        closedBecause = reason
        isClosed.store(true, ordering: .relaxed)
        loop.participants[ObjectIdentifier(self)] = nil
        source?.cancel()
        source = nil
        SocketCall.close(descriptor)
        observers = []
        while let waiter = waiters.popFirst() { waiter.finish(.failure(reason)) }
    }
}

/// Waits for the end of a process.
///
/// `@unchecked Sendable`: as the class above it; its own properties are constants.
final class ExitOperation: LoopOperation<Void>, @unchecked Sendable {
    private let core: ProcessCore

    init(_ core: ProcessCore) {
        self.core = core
        super.init(on: core.loop)
    }

    override func begin() { core.begin(self) }

    override func abandon() { core.abandon(self) }
}
