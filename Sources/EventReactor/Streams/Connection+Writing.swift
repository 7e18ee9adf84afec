extension Connection {
    /// Writes all of `bytes`, and waits first while ``Options/outputLimit`` bytes wait to be sent already.
    ///
    /// Returns when the kernel or the buffer has them; ``flush(isolation:)`` waits for the kernel. Writes that wait
    /// keep their order. After an error of the connection nobody knows how much arrived. Sends at once where
    /// possible and allocates nothing then (`send(2)` with `MSG_NOSIGNAL`); the rest is copied.
    ///
    /// - Throws: `brokenPipe`, `connectionReset`, `timedOut`, `closed`, `cancelled` (nothing was written),
    ///   `shutDown`, `system`.
    public func write(
        _ bytes: [UInt8], isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) {
        if core.loop.isOnLoop, core.canWriteNow, !Task.isCancelled {
            if let error = core.writingEnd { throw error }
            return try core.write(bytes)
        }
        try await WriteOperation(core, bytes).complete(isolation: isolation)
    }

    /// Writes the UTF-8 of `text`; otherwise as the other forms.
    public func write(
        _ text: String, isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) {
        try await write(Array(text.utf8), isolation: isolation)
    }

    /// Writes memory of the caller's. On the reactor's thread it is not copied unless the write has to wait or the
    /// socket does not take all of it; elsewhere it is.
    ///
    /// - Throws: as the other forms.
    public func write(
        _ bytes: RawSpan, isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) {
        if core.loop.isOnLoop, core.canWriteNow, !Task.isCancelled {
            if let error = core.writingEnd { throw error }
            return try core.write(bytes)
        }
        try await WriteOperation(core, bytes.copied).complete(isolation: isolation)
    }

    /// Waits until the kernel has everything that was written so far. It may still be under way to the peer then.
    ///
    /// - Throws: as ``write(_:isolation:)-([UInt8],_)``.
    public func flush(isolation: isolated (any Actor)? = #isolation) async throws(ReactorError) {
        try await FlushOperation(core, finishes: false).complete(isolation: isolation)
    }

    /// Tells the peer that nothing more comes, once everything that was written is sent; waits for that. Reading
    /// goes on (`shutdown(2)` with `SHUT_WR`). If the task is cancelled meanwhile, the peer is told all the same.
    /// Further writes throw `closed`.
    ///
    /// - Throws: as ``write(_:isolation:)-([UInt8],_)``.
    public func finishWriting(isolation: isolated (any Actor)? = #isolation) async throws(ReactorError) {
        try await FlushOperation(core, finishes: true).complete(isolation: isolation)
    }
}
