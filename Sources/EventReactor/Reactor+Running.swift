extension Reactor {
    /// Runs `body` on the loop thread and returns what it returns.
    ///
    /// At once if the caller is on the loop thread already; otherwise the task goes there and comes back. `body` must not
    /// block. Any thread. After ``shutdown()`` it still runs, alone, on a short-lived thread.
    public func run<Value: Sendable, Failure: Error>(
        _ body: @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        if isOnLoop { return try body() }
        return try await LoopVisitor(self).run(body)
    }

    /// Runs `body` on the loop thread, soon. Any thread; never blocks; allocates one small object.
    public func execute(_ body: @escaping @Sendable () -> Void) {
        loop.enqueue(JobItem(ClosureWork(body)))
    }

    /// Runs `work` once, after the callbacks of this turn and the few jobs that are ready by then; or, when it is
    /// scheduled by a later job, after the jobs. Loop thread only (traps elsewhere); does not block, does not allocate once warm.
    ///
    /// Scheduling the same object again before it ran has no effect. After shutdown it runs with the last jobs.
    public func scheduleEndOfTurn(_ work: any EndOfTurnWork) {
        requireLoop()
        loop.scheduleEndOfTurn(work)
    }

    /// The one object of its type that belongs to this reactor; made by `make` if there is none yet. Loop thread only.
    package func attachment<Object: AnyObject>(_ make: () -> Object) -> Object {
        requireLoop()
        let key = ObjectIdentifier(Object.self)
        if let existing = loop.attachments[key] as? Object { return existing }
        let object = make()
        loop.attachments[key] = object
        return object
    }

    /// Has `participant` called at shutdown, unless it is removed before. Loop thread only.
    package func addShutdownParticipant(_ participant: any ShutdownParticipant) throws(ReactorError) {
        requireLoop()
        guard loop.phase == .running else { throw .shutDown }
        loop.participants[ObjectIdentifier(participant)] = participant
    }

    /// Undoes ``addShutdownParticipant(_:)``. Loop thread only.
    package func removeShutdownParticipant(_ participant: any ShutdownParticipant) {
        requireLoop()
        loop.participants[ObjectIdentifier(participant)] = nil
    }

    /// The counters so far. Any thread; goes to the loop thread and back.
    public func statistics() async -> TurnStatistics {
        await run { self.loop.currentStatistics }
    }
}
