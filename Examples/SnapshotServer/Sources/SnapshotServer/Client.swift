import EventReactor
import KeyValueStore

/// One connection. On the reactor's thread, which only takes requests apart: what touches the region is done by the data thread.
struct Client: Sendable {
    let server: Server
    let connection: Connection

    /// Replies are sent when they have so many bytes, at the latest.
    private static let replyLimit = 256 << 10

    /// What becomes of the connection after some requests.
    private enum Outcome { case goesOn, ends }

    func serve() async {
        let number = server.clients.add(connection)
        defer { server.clients.remove(number) }
        var parser = RequestParser(server.requestLimits)
        do {
            while server.clients.willRead(number) {
                let bytes = try await connection.read(upTo: 256 << 10)
                server.clients.didRead(number)
                guard !bytes.isEmpty else { break }
                parser.add(bytes)
                guard try await answer(&parser) == .goesOn else { break }
            }
            try await connection.finishWriting()
        } catch {
            // The client has gone, or the server: nobody is left to be told.
        }
        await connection.close()
    }

    /// Answers all that has come whole.
    private func answer(_ parser: inout RequestParser) async throws -> Outcome {
        var requests: [[[UInt8]]] = []
        do throws(ProtocolError) {
            while let request = try parser.next() { requests.append(request) }
        } catch {
            guard try await answer(requests) == .goesOn else { return .ends }
            var reply = Reply()
            reply.error("ERR \(error)")
            try await connection.write(reply.bytes)
            return .ends
        }
        return try await answer(requests)
    }

    private func answer(_ requests: [[[UInt8]]]) async throws -> Outcome {
        var reply = Reply()
        var next = 0
        while next < requests.count {
            if StoreCommand(name: requests[next][0]) != nil {
                let end = requests[next...].firstIndex { StoreCommand(name: $0[0]) == nil } ?? requests.count
                let (part, count) = await server.data.execute(requests[next..<end])
                reply.add(part)
                next += count
                server.count(count)
                await server.loader.willReply()
                try await connection.write(reply.bytes)
                reply = Reply()
                server.loader.start()
                continue
            }
            server.count(1)
            switch await server.control(requests[next], &reply) {
            case .goesOn: next += 1
            case .ends:
                try await connection.write(reply.bytes)
                return .ends
            case .stops(let saves):
                try? await connection.write(reply.bytes)
                server.stop(saving: saves)
                return .ends
            }
            if reply.bytes.count > Self.replyLimit {
                try await connection.write(reply.bytes)
                reply = Reply()
            }
        }
        if !reply.bytes.isEmpty { try await connection.write(reply.bytes) }
        return .goesOn
    }
}
