// What a read waits for, and how it is answered.
extension ConnectionCore {
    enum Wanted {
        /// Between one byte and this many.
        case upTo(Int)
        /// This many, no less.
        case exactly(Int)
        /// Up to and with the next end of line, of at most this many bytes.
        case line(Int)
        /// Nothing is taken: the caller wants to know when there is something.
        case notice
    }

    func inputArrived() {
        loop.callbackBegins()
        loop.statistics.callbacks &+= 1
        serveReader()
        adjustReading()
    }

    /// Stops reading from the socket when the buffer is full, and goes on once half of it is free or somebody waits.
    func adjustReading() {
        guard let stream, inputEnd == nil else { return }
        let available = stream.inputCount
        if !isReadingPaused {
            guard available >= inputMark else { return }
            stream.stopReading()
            isReadingPaused = true
        } else if available <= inputMark / 2 || reader != nil && available < inputMark {
            isReadingPaused = false
            do throws(ReactorError) {
                try stream.startReading()
            } catch {
                inputEnd = .failed(error)
            }
        }
    }

    func serveReader() {
        guard let reader, let result = readNow(reader.wanted) else { return }
        finish(reader, result)
    }

    /// Answers at once if that is possible: bytes, or `nil` for the end of the stream.
    ///
    /// - Returns: `nil` if the caller has to wait.
    func readNow(_ wanted: Wanted) -> Result<[UInt8]?, ReactorError>? {
        let result = resultNow(wanted)
        if isReadingPaused { adjustReading() }
        return result
    }

    private func resultNow(_ wanted: Wanted) -> Result<[UInt8]?, ReactorError>? {
        if let closedBecause { return .failure(closedBecause) }
        guard let stream else { return .failure(.closed) }
        let available = stream.inputCount
        switch wanted {
        case .upTo(let limit):
            if available > 0 { return .success(stream.takeInput(min(available, limit))) }
            return endOfInput
        case .exactly(let count):
            if available >= count { return .success(stream.takeInput(count)) }
            guard case .success = endOfInput else { return endOfInput }
            return .failure(ReactorError(.endOfStream))
        case .line(let limit):
            return lineNow(stream, available, limit)
        case .notice:
            return available > 0 ? .success([]) : endOfInput
        }
    }

    private func lineNow(
        _ stream: Bufferevent, _ available: Int, _ limit: Int
    ) -> Result<[UInt8]?, ReactorError>? {
        if available > 0, let (count, endCount) = stream.firstLine() {
            guard count <= limit else { return .failure(ReactorError(.lineTooLong)) }
            let line = stream.takeInput(count)
            stream.dropInput(endCount)
            return .success(line)
        }
        // Room for the end of a line of exactly the limit.
        if available >= limit + 2 { return .failure(ReactorError(.lineTooLong)) }
        guard let end = endOfInput else { return nil }
        guard case .success = end, available > 0 else { return end }
        guard available <= limit else { return .failure(ReactorError(.lineTooLong)) }
        return .success(stream.takeInput(available))
    }

    private var endOfInput: Result<[UInt8]?, ReactorError>? {
        switch inputEnd {
        case nil: nil
        case .endOfStream: .success(nil)
        case .failed(let error): .failure(error)
        }
    }

    func begin(_ operation: ReadOperation) {
        if reader != nil { return operation.finish(.failure(ReactorError(.busy))) }
        if let result = readNow(operation.wanted) { return operation.finish(result) }
        reader = operation
        inputMark = max(inputMark, operation.mark ?? 1)
        adjustReading()
        // Going on to read may have failed.
        serveReader()
    }

    func abandon(_ operation: ReadOperation) {
        if reader === operation { forgetReader(operation) }
    }

    private func finish(_ operation: ReadOperation, _ result: Result<[UInt8]?, ReactorError>) {
        forgetReader(operation)
        operation.finish(result)
    }

    private func forgetReader(_ operation: ReadOperation) {
        reader = nil
        inputMark = max(1, options.inputLimit)
        adjustReading()
    }
}

/// A read that waits.
///
/// `@unchecked Sendable`: as the class above it; its own properties are constants.
final class ReadOperation: LoopOperation<[UInt8]?>, @unchecked Sendable {
    private let core: ConnectionCore
    let wanted: ConnectionCore.Wanted

    init(_ core: ConnectionCore, _ wanted: ConnectionCore.Wanted) {
        self.core = core
        self.wanted = wanted
        super.init(on: core.loop)
    }

    /// How many bytes have to fit into the buffer.
    var mark: Int? {
        switch wanted {
        case .upTo, .notice: nil
        case .exactly(let count): count
        case .line(let limit): limit + 2
        }
    }

    override func begin() { core.begin(self) }
    override func abandon() { core.abandon(self) }
}
