extension MessageCore {
    struct Wanted {
        let bytes: Int
        let descriptors: Int
    }

    /// Receives if there is something: a message, or nil for the end.
    ///
    /// - Returns: `nil` if the caller has to wait.
    func receiveNow(_ wanted: Wanted) -> Result<MessageSocket.Message?, ReactorError>? {
        if let closedBecause { return .failure(closedBecause) }
        if let inputEnd { return inputEnd }
        guard mayMove(.readable) else { return nil }
        switch MessageCall.receive(descriptor, upTo: wanted.bytes, descriptors: wanted.descriptors) {
        case .success(let received):
            return result(received, wanted)
        case .failure(let failure) where failure.isTemporary:
            return nil
        case .failure(let failure):
            // Told once only by the kernel.
            inputEnd = .failure(ReactorError(socket: "recvmsg", failure.systemError))
            return inputEnd
        }
    }

    /// What was received; what is too much has no owner any more when this returns.
    private func result(
        _ received: MessageCall.Received, _ wanted: Wanted
    ) -> Result<MessageSocket.Message?, ReactorError> {
        if received.areDescriptorsTruncated {
            // Fewer than allowed: the rest did not fit into the table of descriptors.
            let isFull = received.descriptors.count < wanted.descriptors
            return .failure(
                ReactorError(
                    .tooManyDescriptors, "recvmsg",
                    systemError: isFull ? SystemCall.tooManyDescriptors : 0))
        }
        if received.isTruncated { return .failure(ReactorError(.messageTooLong, "recvmsg")) }
        if received.bytes.isEmpty, received.descriptors.isEmpty,
            kind == .stream || MessageCall.isAtEnd(descriptor)
        {
            inputEnd = .success(nil)
            return .success(nil)
        }
        return .success(MessageSocket.Message(bytes: received.bytes, descriptors: received.descriptors))
    }

    func begin(_ operation: MessageReceiver) {
        if reader != nil { return operation.finish(.failure(ReactorError(.busy))) }
        if let result = receiveNow(operation.wanted) { return operation.finish(result) }
        do throws(ReactorError) {
            try watch(.readable)
            reader = operation
        } catch {
            operation.finish(.failure(error))
        }
    }

    func serveReader() {
        guard let reader, let result = receiveNow(reader.wanted) else { return }
        self.reader = nil
        reader.finish(result)
    }
}

/// Waits for a message.
///
/// `@unchecked Sendable`: as the class above it; its own properties are constants.
final class MessageReceiver: LoopOperation<MessageSocket.Message?>, @unchecked Sendable {
    private let core: MessageCore
    let wanted: MessageCore.Wanted

    init(_ core: MessageCore, _ wanted: MessageCore.Wanted) {
        self.core = core
        self.wanted = wanted
        super.init(on: core.loop)
    }

    override func begin() { core.begin(self) }

    override func abandon() { if core.reader === self { core.reader = nil } }
}
