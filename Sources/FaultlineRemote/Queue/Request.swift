/// What a client asks of a server, once: one frame there and one back.
package struct Request<Payload> {
    package enum Kind: Hashable, Sendable { case read, write, trim, flush }

    package let number: UInt64
    package let kind: Kind
    /// Bytes of the store; empty for a flush.
    package let range: Range<Int>
    package let isUrgent: Bool
    /// What it is about; nil once nobody waits for it.
    package var payload: Payload?
    /// Whose call it is part of.
    package let call: UInt64

    /// Whether the store is another one after it.
    package var isMutation: Bool { kind == .write || kind == .trim }
    /// What it takes of the window.
    package var byteCount: Int { kind == .read || kind == .write ? range.count : 0 }
}
