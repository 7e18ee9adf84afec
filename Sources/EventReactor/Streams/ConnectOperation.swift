/// Makes a connection.
///
/// `@unchecked Sendable`: as the class above it; only the loop thread touches its variables.
final class ConnectOperation: LoopOperation<ConnectionCore>, TimerHandler, @unchecked Sendable {
    private let address: SocketAddress
    private let options: Connection.Options
    private var core: ConnectionCore?
    /// The socket, as long as no core has it.
    private var descriptor: CInt = -1
    private var timer = TimerID.none
    private var delay = Duration.milliseconds(1)

    init(_ loop: LoopState, _ address: SocketAddress, _ options: Connection.Options) {
        self.address = address
        self.options = options
        super.init(on: loop)
    }

    override func begin() {
        do throws(ReactorError) {
            guard loop.phase == .running else { throw .shutDown }
            descriptor = try SocketCall.make(for: address)
            try attempt()
        } catch {
            end(error)
        }
    }

    private func attempt() throws(ReactorError) {
        switch try SocketCall.connect(descriptor, to: address) {
        case 0:
            try adopt()
            connected()
        case SocketCall.isInProgress, SocketCall.wasInterrupted:
            let core = try adopt()
            core.connector = self
            try core.stream?.waitForConnection()
        case SocketCall.isFull:
            // A UNIX socket does not wait for a place in the listener's backlog, and nothing tells when there is one.
            timer = loop.startTimer(deadline: loop.deadline(after: delay), self)
            delay = min(delay * 2, .milliseconds(100))
        case let systemError:
            throw ReactorError(socket: "connect", systemError)
        }
    }

    @discardableResult
    private func adopt() throws(ReactorError) -> ConnectionCore {
        let core = try ConnectionCore(loop, descriptor, options)
        self.core = core
        descriptor = -1
        return core
    }

    func timerFired(_ id: TimerID) {
        do throws(ReactorError) { try attempt() } catch { end(error) }
    }

    func timerAbandoned(_ id: TimerID) { end(.shutDown) }

    func connected() {
        guard let core else { return }
        do throws(ReactorError) {
            try core.stream?.startReading()
            core.connector = nil
            finish(.success(core))
        } catch {
            end(error)
        }
    }

    func failed(_ error: ReactorError) { end(error) }

    /// The connection was closed meanwhile.
    func ended(_ reason: ReactorError) { finish(.failure(reason)) }

    override func abandon() { letGo(.cancelled) }

    private func end(_ error: ReactorError) {
        letGo(error)
        finish(.failure(error))
    }

    private func letGo(_ error: ReactorError) {
        _ = loop.cancelTimer(timer)
        core?.connector = nil
        core?.close(error)
        core = nil
        if descriptor >= 0 { SocketCall.close(descriptor) }
        descriptor = -1
    }
}
