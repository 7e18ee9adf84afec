extension Reactor {
    /// Watches a descriptor and calls `handler` on the loop thread whenever it is ready.
    ///
    /// Persistent. The reactor holds the handler until the source is cancelled; the descriptor
    /// stays yours. One source per descriptor and reactor. Loop thread only; allocates; does not block
    /// (`epoll_ctl(2)`). Events after that allocate nothing.
    ///
    /// - Parameters:
    ///   - fd: a descriptor that can be waited for: pipe, socket, eventfd, userfaultfd; not a regular file.
    ///   - name: what reports call it.
    ///   - interest: what to watch for.
    ///   - handler: what is called; held strongly.
    ///   - trigger: whether readiness for reading is reported as long as it lasts, or once for each arrival.
    /// - Throws: `notOnLoop`, `shutDown`, `badDescriptor`, `unsupportedDescriptor`, `descriptorInUse`, `system`.
    @discardableResult
    public func addDescriptor(
        _ fd: CInt, name: String, interest: Readiness, trigger: ReadinessTrigger = .level,
        handler: any ReadinessHandler
    ) throws(ReactorError) -> DescriptorSource {
        try loop.addDescriptor(
            fd, name: name, interest: interest, trigger: trigger, enabled: true, handler: handler)
    }
}

extension LoopState {
    func addDescriptor(
        _ fd: CInt, name: String, interest: Readiness, trigger: ReadinessTrigger = .level, enabled: Bool,
        handler: any ReadinessHandler
    ) throws(ReactorError) -> DescriptorSource {
        guard isOnLoop else { throw .notOnLoop }
        guard phase == .running else { throw .shutDown }
        guard sources[fd] == nil else { throw ReactorError(.descriptorInUse) }
        try SystemCall.checkPollable(fd)
        return try DescriptorSource(
            self, fd, name: name, interest: interest, trigger: trigger, enabled: enabled, handler: handler)
    }

    func scheduleEndOfTurn(_ work: any EndOfTurnWork) {
        for index in endOfTurnWork.value.indices where endOfTurnWork.value[index] === work { return }
        endOfTurnWork.value.append(work)
        requestTurnIfAttached()
    }

    var currentStatistics: TurnStatistics {
        var current = statistics
        current.wakeups = inbox.wakeups
        return current
    }
}
