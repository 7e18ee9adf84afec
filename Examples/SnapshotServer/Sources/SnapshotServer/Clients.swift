import EventReactor
import Synchronization

/// Who is connected, so that all of them can be let go between two requests.
final class Clients: Sendable {
    private struct State {
        var connections: [Int: Connection] = [:]
        var idle: Set<Int> = []
        var nextNumber = 1
        var isStopping = false
    }

    private let state = Mutex(State())

    /// The number of connections.
    var count: Int { state.withLock { $0.connections.count } }
    /// The number of connections that there were.
    var total: Int { state.withLock { $0.nextNumber - 1 } }

    func add(_ connection: Connection) -> Int {
        state.withLock { state in
            defer { state.nextNumber += 1 }
            state.connections[state.nextNumber] = connection
            return state.nextNumber
        }
    }

    func remove(_ number: Int) {
        state.withLock { state in
            state.connections[number] = nil
            state.idle.remove(number)
        }
    }

    /// To be called before a client is waited for: it may be closed from now on. Returns whether to wait at all.
    func willRead(_ number: Int) -> Bool {
        state.withLock { state in
            if !state.isStopping { state.idle.insert(number) }
            return !state.isStopping
        }
    }

    /// To be called when the client has sent something: it is not closed before it has been answered.
    func didRead(_ number: Int) { state.withLock { _ = $0.idle.remove(number) } }

    /// Closes those who wait for nothing; the others are closed when they have been answered.
    func stop() async {
        let idle = state.withLock { state in
            state.isStopping = true
            return state.idle.compactMap { state.connections[$0] }
        }
        for connection in idle { await connection.close() }
    }

    /// Closes all that are left.
    func closeAll() async {
        for connection in state.withLock({ Array($0.connections.values) }) { await connection.close() }
    }
}
