extension Connection {
    /// Reads what there is, and waits until there is something.
    ///
    /// Allocates the result; a call that waits allocates one object more. The bytes have been received already
    /// (`readv(2)`), up to ``Options/inputLimit``.
    ///
    /// - Parameters:
    ///   - limit: the most bytes to return; positive.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Returns: at least one byte, or none at the end of the stream.
    /// - Throws: `connectionReset`, `timedOut`, `busy`, `closed`, `cancelled`, `shutDown`, `system`.
    public func read(
        upTo limit: Int = 64 * 1024, isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> [UInt8] {
        precondition(limit > 0, "a limit is positive")
        return try await complete(.upTo(limit), isolation) ?? []
    }

    /// Reads this many bytes, and waits until all of them are there.
    ///
    /// Nothing is taken until then: after `endOfStream`, what came is still there for ``read(upTo:isolation:)``.
    ///
    /// - Throws: `endOfStream`, and as ``read(upTo:isolation:)``.
    public func readExactly(
        _ count: Int, isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> [UInt8] {
        precondition(count >= 0, "a count is not negative")
        return try await complete(.exactly(count), isolation) ?? []
    }

    /// Reads up to the next line feed, and waits until it is there.
    ///
    /// - Parameters:
    ///   - limit: the most bytes in a line; positive.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Returns: the line without its end (`\n` or `\r\n`), or `nil` at the end of the stream. Bytes after the last
    ///   line feed are a line as well.
    /// - Throws: `lineTooLong`, and as ``read(upTo:isolation:)``.
    public func readLine(
        upTo limit: Int = 16 * 1024, isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> [UInt8]? {
        precondition(limit > 0, "a limit is positive")
        return try await complete(.line(limit), isolation)
    }

    /// Reads what there is into memory of the caller's, and waits until there is something. On the reactor's thread
    /// nothing is allocated unless it has to wait; elsewhere the bytes are copied once more.
    ///
    /// - Parameters:
    ///   - destination: at least one byte must be free.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Returns: how many bytes were appended; 0 at the end of the stream.
    /// - Throws: as ``read(upTo:isolation:)``.
    public func read(
        into destination: inout OutputRawSpan, isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> Int {
        precondition(destination.freeCapacity > 0, "there is room for a byte")
        while core.loop.isOnLoop {
            if core.reader == nil, core.closedBecause == nil, let stream = core.stream, stream.inputCount > 0,
                !Task.isCancelled
            {
                defer { core.adjustReading() }
                return stream.takeInput(into: &destination)
            }
            if try await complete(.notice, isolation) == nil { return 0 }
        }
        let bytes = try await read(upTo: destination.freeCapacity, isolation: isolation)
        for byte in bytes { destination.append(byte) }
        return bytes.count
    }

    private func complete(
        _ wanted: ConnectionCore.Wanted, _ isolation: isolated (any Actor)?
    ) async throws(ReactorError) -> [UInt8]? {
        if core.loop.isOnLoop, core.reader == nil, !Task.isCancelled, let result = core.readNow(wanted) {
            return try result.get()
        }
        return try await ReadOperation(core, wanted).complete(isolation: isolation)
    }
}
