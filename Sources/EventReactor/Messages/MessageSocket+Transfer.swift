extension MessageSocket {
    /// Takes what has come, and waits until something has.
    ///
    /// Of sequenced packets, one; of a stream, at most `limit` bytes, up to the end of the first piece that was sent with
    /// descriptors, which may have pieces without any before it. Allocates the result and, while it runs, `limit` bytes. What a peer may not send is never kept: if
    /// this throws `messageTooLong` or `tooManyDescriptors`, the message is lost and what came with it is closed. The
    /// bounds of a stream's messages are lost with it: close the socket then. (`recvmsg(2)` with
    /// `MSG_CMSG_CLOEXEC`.)
    ///
    /// - Parameters:
    ///   - limit: the most bytes to accept; positive, and not more than 16 MiB.
    ///   - descriptors: the most descriptors to accept with them, not negative; the kernel passes at most 253.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Returns: the message; nil at the end, when the peer closed or finished sending and all was received. A packet may
    ///   be empty; the one right before the end is taken for the end.
    /// - Throws: `messageTooLong`; `tooManyDescriptors`, with `systemError` `EMFILE` if this process has no room for them;
    ///   `busy`, `connectionReset`, `closed`, `cancelled`, `shutDown`, `system`.
    public func receive(
        upTo limit: Int = 64 * 1024, descriptors: Int = 0, isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> Message? {
        precondition(limit > 0, "a limit is positive")
        precondition(descriptors >= 0, "a count is not negative")
        let wanted = MessageCore.Wanted(
            bytes: min(limit, 16 << 20), descriptors: min(descriptors, MessageCall.mostDescriptors))
        if core.loop.isOnLoop, core.reader == nil, !Task.isCancelled,
            let result = core.receiveNow(wanted)
        {
            return try result.get()
        }
        return try await MessageReceiver(core, wanted).complete(isolation: isolation)
    }

    /// Sends a message, and returns when the kernel has all of it. Messages that wait keep their order.
    ///
    /// The peer gets duplicates of the descriptors; yours stay open until this returns, and you hold them. A message that
    /// was cancelled when a part of it had gone, which happens only to those of a stream that are longer than
    /// its buffer, ends the sending: everything after it throws `closed`. No SIGPIPE is ever raised. (`sendmsg(2)`.)
    ///
    /// - Parameters:
    ///   - bytes: what to send; at least one byte with descriptors over a stream.
    ///   - descriptors: what to send along, at most 253.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Throws: `emptyMessage`, `badDescriptor` if one was released; `messageTooLong` for a packet that exceeds the
    ///   socket's buffer; `tooManyDescriptors`; `brokenPipe`, `connectionReset`, `closed`, `cancelled`, `shutDown`,
    ///   `system`.
    public func send(
        _ bytes: [UInt8], descriptors: [OwnedDescriptor] = [], isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) {
        var outgoing = try MessageCore.Outgoing(bytes, descriptors, kind)
        if core.loop.isOnLoop, core.canSendNow, !Task.isCancelled, try core.sendNow(&outgoing) {
            return
        }
        try await MessageSender(core, outgoing).complete(isolation: isolation)
    }

    /// Sends a message if nobody waits to send and the socket takes it at once; what is not taken is given up, and of a
    /// stream the rest of what is taken in part as well. Any task.
    ///
    /// - Parameter bytes: what to send.
    /// - Returns: whether all of it is with the kernel.
    package func trySend(_ bytes: [UInt8]) async -> Bool {
        let core = self.core
        return await reactor.run {
            guard core.canSendNow, var outgoing = try? MessageCore.Outgoing(bytes, [], core.kind) else {
                return false
            }
            return (try? core.sendNow(&outgoing)) ?? false
        }
    }
}
