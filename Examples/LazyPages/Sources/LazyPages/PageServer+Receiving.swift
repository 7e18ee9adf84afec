import CheckpointImages
import EventReactor
import Faultline
import Userfault

extension PageServer {
    /// Takes answers as long as there are requests. In between nothing is read: all that the server says is an answer.
    func receive() async {
        while failure == nil {
            guard let request = underWay.front else {
                await withCheckedContinuation { continuation in
                    if failure != nil || !underWay.isEmpty {
                        continuation.resume()
                    } else {
                        receiver = continuation
                    }
                }
                continue
            }
            do {
                answered(try await answer(to: request.frame))
            } catch let error as LazyPagesError {
                fail(error)
            } catch {
                fail(LazyPagesError(.pageServerLost, "the page server is gone: \(error)"))
            }
        }
    }

    private func answer(to request: PageFrame) async throws -> Pages {
        let bytes = try await connection.readExactly(PageFrame.byteCount)
        guard let frame = PageFrame(decoding: bytes) else {
            throw LazyPagesError(.badPageServer, "the page server sent no frame")
        }
        if let problem = frame.problem(asAnswerTo: request) {
            throw LazyPagesError(.badPageServer, "the page server is not understood: \(problem)")
        }
        lastProgress = .now
        let count = Int(frame.pageCount)
        return Pages(count: count, bytes: try await connection.readExactly(count * pageSize))
    }

    /// Gives a server up that does not answer.
    func watch() async {
        while failure == nil {
            do { try await reactor.sleep(for: patience / 4) } catch { return }
            guard !underWay.isEmpty, lastProgress.duration(to: .now) > patience else { continue }
            fail(
                LazyPagesError(
                    .pageServerStalled,
                    "the page server has not answered for \(patience): \(underWay.count) requests are open"))
        }
    }
}

extension Connection {
    /// Tells a page server that this was all. Its status; an error if it takes longer than it may.
    func status(after command: PageFrame.Command, within limit: Duration) async throws -> Int32 {
        try await write(PageFrame(command).encoded)
        return try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask {
                let bytes = try await self.readExactly(4)
                return Int32(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
            }
            group.addTask {
                try await self.reactor.sleep(for: limit)
                throw LazyPagesError(.pageServerStalled, "no answer within \(limit)")
            }
            defer { group.cancelAll() }
            guard let status = try await group.next() else { throw CancellationError() }
            return status
        }
    }
}

/// Pages from a page server, the first of them as soon as it has them.
struct RemotePages: FaultHandler {
    let server: PageServer
    /// The process that was dumped.
    let processID: Int32
    /// Where the region was in it.
    let start: UInt64

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        var done = 0
        while true {
            let pages = try await server.pages(
                of: processID, at: start + UInt64(request.offset + done * request.pageSize),
                count: request.pageCount - done, isUrgent: !request.demand.isEmpty)
            var buffer = try request.makeBuffer(byteCount: pages.count * request.pageSize)
            buffer.write(pages.bytes)
            let range = AddressRange(
                start: request.range.start + UInt(done * request.pageSize), byteCount: buffer.byteCount)
            let part = Resolution.copy(buffer).covering(range)
            done += pages.count
            if done == request.pageCount { return part }
            try await request.supply(part)
        }
    }
}
