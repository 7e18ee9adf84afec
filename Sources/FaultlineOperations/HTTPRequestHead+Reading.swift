import EventReactor

extension HTTPRequestHead {
    /// Reads a head from a connection.
    ///
    /// - Throws: the connection's error.
    static func read(
        from connection: Connection, limit: Int
    ) async throws(ReactorError) -> Result<HTTPRequestHead, Refusal> {
        var reader = HTTPHeadReader(limit: limit)
        while true {
            let line: [UInt8]?
            do {
                line = try await connection.readLine(upTo: reader.lineLimit)
            } catch {
                guard error.code == .lineTooLong else { throw error }
                return .failure(reader.tooLarge)
            }
            do throws(Refusal) {
                if let head = try reader.take(line) { return .success(head) }
            } catch {
                return .failure(error)
            }
        }
    }
}
