extension MessageCore {
    /// A message on its way out.
    struct Outgoing {
        let bytes: [UInt8]
        let descriptors: [OwnedDescriptor]
        /// The descriptors go with the first byte.
        var sent = 0

        init(_ bytes: [UInt8], _ descriptors: [OwnedDescriptor], _ kind: SocketKind) throws(ReactorError) {
            guard kind == .sequencedPackets || !bytes.isEmpty || descriptors.isEmpty else {
                throw ReactorError(.emptyMessage)
            }
            guard descriptors.count <= MessageCall.mostDescriptors else {
                throw ReactorError(.tooManyDescriptors)
            }
            self.bytes = bytes
            self.descriptors = descriptors
        }
    }

    /// The error that every further message gets.
    var sendingEnd: ReactorError? { closedBecause ?? outputFailure ?? (isFinishing ? .closed : nil) }

    /// Whether nobody waits to send.
    var canSendNow: Bool { senders.isEmpty && sendingEnd == nil }

    /// Sends as much as the socket takes.
    ///
    /// - Returns: whether that was all.
    func push(_ outgoing: inout Outgoing) throws(ReactorError) -> Bool {
        // Over a stream there is no empty message.
        if kind == .stream, outgoing.bytes.isEmpty { return true }
        repeat {
            guard mayMove(.writable) else { return false }
            let numbers = outgoing.sent == 0 ? outgoing.descriptors.map(\.fileDescriptor) : []
            if numbers.contains(where: { $0 < 0 }) { throw ReactorError(.badDescriptor, "sendmsg") }
            let result = withExtendedLifetime(outgoing.descriptors) {
                MessageCall.send(descriptor, outgoing.bytes, from: outgoing.sent, numbers)
            }
            switch result {
            case .success(let count):
                outgoing.sent += count
            case .failure(let failure) where failure.isTemporary:
                return false
            case .failure(let failure):
                throw ReactorError(socket: "sendmsg", failure.systemError)
            }
        } while outgoing.sent < outgoing.bytes.count
        return true
    }

    /// The same; an error after a part of the message ends the sending, because what followed would be taken for the rest.
    func sendNow(_ outgoing: inout Outgoing) throws(ReactorError) -> Bool {
        do throws(ReactorError) {
            return try push(&outgoing)
        } catch {
            if outgoing.sent > 0 { endOutput(error) }
            throw error
        }
    }

    func begin(_ operation: MessageSender) {
        if let error = sendingEnd { return operation.finish(.failure(error)) }
        let isNext = senders.isEmpty
        senders.append(operation)
        if isNext { serveSenders() }
    }

    func serveSenders() {
        while let sender = senders.first {
            do throws(ReactorError) {
                guard try sendNow(&sender.outgoing) else { return try watch(.writable) }
                take(sender)
                sender.finish(.success(()))
            } catch {
                take(sender)
                sender.finish(.failure(error))
            }
        }
        finishIfTold()
    }

    func abandon(_ operation: MessageSender) {
        senders.remove(operation)
        if operation.outgoing.sent > 0 { endOutput(.closed) }
        finishIfTold()
    }

    /// It is gone already if all that waited were failed together.
    private func take(_ sender: MessageSender) {
        if senders.first === sender { _ = senders.popFirst() }
    }

    /// The peer must not wait for the rest of a message.
    private func endOutput(_ error: ReactorError) {
        failOutput(error)
        if closedBecause == nil { _ = SocketCall.finishWriting(descriptor) }
    }
}

/// Waits until a message is sent.
///
/// `@unchecked Sendable`: as the class above it; its variable is the loop thread's.
final class MessageSender: LoopOperation<Void>, @unchecked Sendable {
    private let core: MessageCore
    var outgoing: MessageCore.Outgoing

    init(_ core: MessageCore, _ outgoing: MessageCore.Outgoing) {
        self.core = core
        self.outgoing = outgoing
        super.init(on: core.loop)
    }

    override func begin() { core.begin(self) }

    override func abandon() { core.abandon(self) }
}
