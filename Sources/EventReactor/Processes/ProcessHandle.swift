import Synchronization

/// Another process, held by a descriptor that stays bound to it (pidfd_open(2)), and tells of its end.
///
/// Made by ``MessageSocket/peerProcess(isolation:)``, ``Connection/peerProcess(isolation:)``, or from a number with
/// ``Reactor/process(_:isolation:)``. Any thread and any task may call everything here. The handle keeps its reactor
/// alive, and closes its descriptor with the last reference.
public final class ProcessHandle: Sendable {
    /// The reactor that watches the process.
    public let reactor: Reactor
    /// Its number; 0 if it has none in this process's PID namespace. Once it has exited, another process may have the
    /// number.
    public let processID: Int32
    /// Whether the kernel itself named the process (`SO_PEERPIDFD`, 6.5). Else it was opened by its number: if the
    /// process had died before that and its number was given to another one, then this is the other one.
    public let isExact: Bool
    let core: ProcessCore

    init(_ reactor: Reactor, _ core: ProcessCore, processID: Int32, isExact: Bool) {
        self.reactor = reactor
        self.core = core
        self.processID = processID
        self.isExact = isExact
    }

    deinit {
        let core = self.core
        if !core.isClosed.load(ordering: .relaxed) { core.loop.perform { core.close(.closed) } }
    }

    /// Whether the process has exited: all of its threads, whether its parent knows of it or not.
    public func hasExited() async -> Bool {
        let core = self.core
        return await reactor.run { core.hasExited }
    }

    /// Waits until the process has exited; returns at once if it has. Any number of tasks may wait.
    ///
    /// With what status it exited, only its parent gets to know (waitid(2)).
    ///
    /// - Parameter isolation: the caller's, filled in by the compiler.
    /// - Throws: `cancelled`, `shutDown`.
    public func waitForExit(isolation: isolated (any Actor)? = #isolation) async throws(ReactorError) {
        try await ExitOperation(core).complete(isolation: isolation)
    }

    /// Has `observer` called when the process has exited: on the loop thread, out of the descriptor's readiness. At once
    /// if it has. Held strongly until then. Loop thread only.
    package func addObserver(_ observer: any ProcessExitObserver) {
        reactor.requireLoop()
        core.add(observer)
    }

    /// Undoes ``addObserver(_:)``. Loop thread only.
    package func removeObserver(_ observer: any ProcessExitObserver) {
        reactor.requireLoop()
        core.remove(observer)
    }
}

/// Who is told synchronously that a process has exited.
package protocol ProcessExitObserver: AnyObject {
    /// The process has exited. Loop thread; once.
    func processExited()
}

extension Reactor {
    /// Holds the process that has a number at this moment. Any thread; goes to the loop thread and back
    /// (pidfd_open(2), 5.3).
    ///
    /// - Parameters:
    ///   - number: a process of this PID namespace.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Throws: `noSuchProcess`, `shutDown`, `system`.
    public func process(
        _ number: Int32, isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> ProcessHandle {
        try await run { () throws(ReactorError) in
            try self.processHandle(try ProcessCall.open(number), number, isExact: false)
        }
    }

    /// Takes over a pidfd. Loop thread only.
    fileprivate func processHandle(
        _ descriptor: CInt, _ number: Int32, isExact: Bool
    ) throws(ReactorError) -> ProcessHandle {
        let core = try ProcessCore(loop, descriptor)
        return ProcessHandle(self, core, processID: number, isExact: isExact)
    }

    /// Holds the process at the other end of a socket. Loop thread only.
    ///
    /// - Parameter byNumber: as on kernels that cannot name the process themselves.
    func peerProcess(
        ofSocket descriptor: CInt, byNumber: Bool = false
    ) throws(ReactorError) -> ProcessHandle {
        guard let peer = SocketCall.peerCredentials(descriptor) else { throw ReactorError(.notLocal) }
        if !byNumber, let exact = try ProcessCall.peer(ofSocket: descriptor) {
            return try processHandle(exact, peer.processID, isExact: true)
        }
        return try processHandle(try ProcessCall.open(peer.processID), peer.processID, isExact: false)
    }
}

extension MessageSocket {
    /// Holds the process that connected the other end, which may have handed it on since. Any thread; goes to the loop
    /// thread and back (`SO_PEERPIDFD` where the kernel has it (6.5), else pidfd_open(2); see
    /// ``ProcessHandle/isExact``).
    ///
    /// - Parameter isolation: the caller's, filled in by the compiler.
    /// - Throws: `noSuchProcess` if it is gone, `closed`, `shutDown`, `system`.
    public func peerProcess(
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> ProcessHandle {
        try await peerProcess(byNumber: false)
    }

    /// - Parameter byNumber: as on kernels that cannot name the process themselves.
    package func peerProcess(byNumber: Bool) async throws(ReactorError) -> ProcessHandle {
        let core = self.core
        return try await reactor.run { () throws(ReactorError) in
            if let error = core.closedBecause { throw error }
            return try self.reactor.peerProcess(ofSocket: core.descriptor, byNumber: byNumber)
        }
    }
}

extension Connection {
    /// As ``MessageSocket/peerProcess(isolation:)``; UNIX-domain connections only.
    ///
    /// - Parameter isolation: the caller's, filled in by the compiler.
    /// - Throws: `notLocal`, `noSuchProcess` if it is gone, `closed`, `shutDown`, `system`.
    public func peerProcess(
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> ProcessHandle {
        let core = self.core
        return try await reactor.run { () throws(ReactorError) in
            if let error = core.closedBecause { throw error }
            return try self.reactor.peerProcess(ofSocket: core.descriptor)
        }
    }
}
