import EventReactor

/// What a restore says over its socket: every process with the descriptor of its memory, and in the end that all is restored.
struct RestoreChannel: Sendable {
    /// What comes for each process of the checkpoint.
    enum Arrival: Sendable {
        /// A process with this number has memory.
        case process(Int32, OwnedDescriptor)
        /// A process that has ended, and has none.
        case zombie(Int32)
    }

    /// What says that all is restored.
    static let restored: UInt32 = 0x5253_5446

    private let socket: MessageSocket

    init(_ socket: MessageSocket) { self.socket = socket }

    /// Waits for the next process.
    ///
    /// - Throws: ``LazyPagesError``: the restore has ended, or sent something else.
    func nextProcess() async throws(LazyPagesError) -> Arrival {
        let processID = Int32(bitPattern: try await word("the number of a process"))
        guard processID != 0 else { throw LazyPagesError(.badRestore, "the restore named a process 0") }
        // The least number has no positive counterpart.
        guard processID > 0 else { return .zombie(processID == .min ? 0 : -processID) }
        let message = try await receive(1, descriptors: 1, "the descriptor of process \(processID)")
        guard let descriptor = message.descriptors.first else {
            throw LazyPagesError(.badRestore, "no descriptor came along with process \(processID)")
        }
        return .process(processID, descriptor)
    }

    /// Waits until all is restored.
    ///
    /// - Throws: ``LazyPagesError``: the restore has ended before, or said something else.
    func waitUntilRestored() async throws(LazyPagesError) {
        let word = try await word("the end of the restore")
        guard word == Self.restored else {
            throw LazyPagesError(
                .badRestore, "the restore said 0x\(String(word, radix: 16)) where its end was expected")
        }
    }

    func close() async { await socket.close() }

    /// Four bytes, as they come. Processes send on the same socket, but each sends its words whole.
    private func word(_ what: String) async throws(LazyPagesError) -> UInt32 {
        var bytes: [UInt8] = []
        while bytes.count < 4 { bytes += try await receive(4 - bytes.count, descriptors: 0, what).bytes }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func receive(
        _ count: Int, descriptors: Int, _ what: String
    ) async throws(LazyPagesError) -> MessageSocket.Message {
        do {
            if let message = try await socket.receive(upTo: count, descriptors: descriptors) {
                return message
            }
        } catch {
            switch error.code {
            case .tooManyDescriptors, .messageTooLong:
                throw LazyPagesError(
                    .badRestore, "the restore sent descriptors in place of \(what): \(error)")
            case .connectionReset: break
            default: throw LazyPagesError(.restoreFailed, "\(what) cannot be received: \(error)")
            }
        }
        throw LazyPagesError(
            .restoreFailed, "the restore has ended before it was complete: \(what) is missing")
    }
}
