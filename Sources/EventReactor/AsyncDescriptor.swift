/// A descriptor that tasks wait for; made by ``Reactor/descriptor(_:name:)``.
///
/// The descriptor stays yours: ``cancel()`` this (or let go of it) before you close it. Any thread may call
/// everything here. A task that prefers the reactor as its executor waits without leaving the loop.
public final class AsyncDescriptor: Sendable {
    /// The descriptor.
    public let fileDescriptor: CInt
    private let waits: DescriptorWaits
    private let loop: LoopState

    fileprivate init(_ fileDescriptor: CInt, _ waits: DescriptorWaits, _ loop: LoopState) {
        self.fileDescriptor = fileDescriptor
        self.waits = waits
        self.loop = loop
    }

    deinit {
        cancel()
    }

    /// Suspends the task until a read will not block (data, end of file, or an error is there).
    ///
    /// Several tasks may wait; all of them are resumed. Waiting again before all was read returns in the next turn.
    ///
    /// - Throws: `cancelled` if the task is, `shutDown` after ``cancel()`` or the reactor's shutdown.
    public func readable() async throws(ReactorError) {
        try await wait(for: .readable)
    }

    /// Suspends the task until a write will not block. Otherwise as ``readable()``.
    public func writable() async throws(ReactorError) {
        try await wait(for: .writable)
    }

    /// Stops watching. Tasks that wait are resumed with `shutDown`. Does not block, does not close the descriptor; on the
    /// loop thread it takes effect at once, elsewhere soon: use ``cancelAndWait()`` if you close it next.
    public func cancel() {
        let waits = self.waits
        loop.perform { waits.cancel() }
    }

    /// ``cancel()``, and returns when it has taken effect: the descriptor may be closed then.
    public func cancelAndWait() async {
        let waits = self.waits
        await park(on: loop) { (parked: Parked<Void>) in
            loop.perform {
                waits.cancel()
                parked.resume(())
            }
        }
    }

    private func wait(for part: Readiness) async throws(ReactorError) {
        let wait = DescriptorWaits.Wait()
        let waits = self.waits
        let loop = self.loop
        let result = await withTaskCancellationHandler {
            await park(on: loop) { parked in
                loop.perform { waits.begin(wait, part, parked) }
            }
        } onCancel: {
            loop.perform { waits.abandon(wait) }
        }
        try result.get()
    }
}

extension Reactor {
    /// Makes a descriptor that tasks can wait for. Any thread; goes to the loop thread and back.
    ///
    /// - Throws: `shutDown`, `badDescriptor`, `unsupportedDescriptor`, `descriptorInUse`, `system`.
    public func descriptor(
        _ fd: CInt, name: String = "descriptor"
    ) async throws(ReactorError) -> AsyncDescriptor {
        let loop = self.loop
        return try await run { () throws(ReactorError) in
            let waits = DescriptorWaits(loop)
            waits.source = try loop.addDescriptor(
                fd, name: name, interest: [.readable, .writable], enabled: false, handler: waits)
            return AsyncDescriptor(fd, waits, loop)
        }
    }
}
