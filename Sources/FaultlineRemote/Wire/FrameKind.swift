/// What a frame is. The numbers are those on the wire.
package enum FrameKind: UInt8, CaseIterable, Sendable {
    // Before anything else, in this order.
    case hello = 1
    case challenge = 2
    case proof = 3
    case welcome = 4
    /// In place of the server's next frame: the connection ends.
    case refused = 5

    // Requests, from the client.
    case read = 16
    case write = 17
    case trim = 18
    case flush = 19
    case ping = 20

    /// To a request, from the server.
    case answer = 32

    package var isRequest: Bool { (16...20).contains(rawValue) }
}

/// Bits of a frame.
package struct FrameFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// A request that somebody waits for: it goes before those without.
    package static let urgent = FrameFlags(rawValue: 1)
    /// An answer to a read: all bytes are zero, and are left out.
    package static let zero = FrameFlags(rawValue: 2)
    package static let known: FrameFlags = [.urgent, .zero]
}

/// How a request went, or why a connection is refused. The numbers are those on the wire.
package enum WireStatus: UInt16, CaseIterable, Sendable {
    case success = 0
    /// The request makes no sense.
    case malformed = 1
    case outOfRange = 2
    case readOnly = 3
    case noSpace = 4
    case inputOutput = 5
    /// The store failed in another way.
    case storeFailed = 6
    case wrongSecret = 16
    case noCommonVersion = 17
    case unknownExport = 18
    case tooManyConnections = 19
    case shuttingDown = 20
}
