internal import Faultline

/// What a page server and its clients both know, and nobody else. It never goes over the wire.
///
/// Each end proves to the other that it knows the secret (HMAC-SHA256 over fresh random numbers of both); who listens learns
/// nothing from that but a way to try out guesses, so use bytes that cannot be guessed: `head -c 32 /dev/urandom`.
public struct SharedSecret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    /// The fewest bytes of a secret.
    public static let minimumByteCount = 16

    private let key: [UInt8]

    /// A secret of these bytes. Any thread.
    ///
    /// - Parameter bytes: at least ``minimumByteCount`` of them, best 32 random ones.
    /// - Throws: ``RemoteError/Code/badSecret`` when they are too few.
    public init(_ bytes: [UInt8]) throws(RemoteError) {
        guard bytes.count >= Self.minimumByteCount else {
            throw RemoteError(
                .badSecret,
                "a secret of \(bytes.count) bytes can be guessed; use at least \(Self.minimumByteCount), best 32 random ones"
            )
        }
        key = bytes
    }

    /// The bytes of a file, all of them, a line feed at the end included. Any thread; blocks on the disk. Keep the file from others
    /// (`chmod 600`).
    ///
    /// - Parameter path: a file of at least ``minimumByteCount`` and at most 4096 bytes.
    /// - Throws: ``RemoteError/Code/badSecret`` when it cannot be read, or has too few bytes or too many.
    public init(contentsOfFile path: String) throws(RemoteError) {
        let source: PageSource
        do throws(SystemFailure) {
            source = try PageSource(mappingFileAt: path)
        } catch {
            throw RemoteError(.badSecret, "the secret in \(path) cannot be read: \(error)")
        }
        guard source.byteCount <= 4096 else {
            throw RemoteError(.badSecret, "\(path) has \(source.byteCount) bytes; 32 random ones are enough")
        }
        try self.init(source.withBytes(0..<source.byteCount) { $0.array })
    }

    /// 32 new random bytes (getrandom(2)). Any thread.
    ///
    /// - Returns: the secret, and its bytes, to be handed to the other end in a safe way.
    public static func random() -> (secret: SharedSecret, bytes: [UInt8]) {
        let bytes = RandomBytes.make(32)
        return (SharedSecret(trusted: bytes), bytes)
    }

    private init(trusted bytes: [UInt8]) { key = bytes }

    func code(_ message: [UInt8]) -> [UInt8] { MessageAuthentication.code(message, key: key) }

    /// Does not show the bytes.
    public var description: String { "a secret of \(key.count) bytes" }
    /// Does not show the bytes.
    public var debugDescription: String { description }
    /// Does not show the bytes.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

enum RandomBytes {
    /// Random bytes from the system, fit for secrets (getrandom(2)).
    static func make(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
}
