/// The versions of the protocol that this end speaks.
package enum ProtocolVersion {
    package static let spoken: ClosedRange<UInt16> = 1...1
    /// Contents of the frames before a client is let in are no longer.
    package static let handshakeByteLimit = 1024
}

/// What both ends prove that they know the secret with. Everything that was said goes in, so that nobody in between can change a
/// version or a name.
private enum Proof {
    static func client(_ secret: SharedSecret, _ transcript: [UInt8]) -> [UInt8] {
        secret.code(Array("faultline client 1\0".utf8) + transcript)
    }

    static func server(_ secret: SharedSecret, _ transcript: [UInt8]) -> [UInt8] {
        secret.code(Array("faultline server 1\0".utf8) + transcript)
    }
}

/// The client's part: pure, no input or output.
package struct ClientHandshake {
    private let secret: SharedSecret
    /// The contents of the first frame.
    package let hello: [UInt8]
    private let versions: ClosedRange<UInt16>
    private var transcript: [UInt8]
    private var isChallenged = false

    package init(
        export: String, client: [UInt8], secret: SharedSecret,
        versions: ClosedRange<UInt16> = ProtocolVersion.spoken,
        nonce: [UInt8] = RandomBytes.make(Hello.nonceByteCount)
    ) {
        self.secret = secret
        self.versions = versions
        hello = Hello(versions: versions, client: client, nonce: nonce, export: export).encoded
        transcript = hello
    }

    /// The contents of the proof that answers a challenge.
    package mutating func prove(_ challenge: [UInt8]) throws(RemoteError) -> [UInt8] {
        guard !isChallenged else { throw RemoteError(FrameError.unexpected(.challenge)) }
        let version: UInt16
        do { version = try Challenge(decoding: challenge).version } catch { throw RemoteError(error) }
        guard versions.contains(version) else {
            throw RemoteError(
                .noCommonVersion,
                "the server speaks version \(version), and this end \(versions.lowerBound) to \(versions.upperBound); update the older one"
            )
        }
        isChallenged = true
        transcript += challenge
        let proof = Proof.client(secret, transcript)
        transcript += proof
        return proof
    }

    /// What the server lets us do, if it knows the secret as well.
    package func terms(_ welcome: [UInt8]) throws(RemoteError) -> Terms {
        guard isChallenged else { throw RemoteError(FrameError.unexpected(.welcome)) }
        let terms: Terms
        let proof: [UInt8]
        do {
            var reader = ByteReader(welcome)
            terms = try Terms(&reader)
            proof = try reader.take(MessageAuthentication.byteCount)
            try reader.end()
        } catch {
            throw RemoteError(error)
        }
        guard MessageAuthentication.areEqual(proof, Proof.server(secret, transcript + terms.encoded)) else {
            throw RemoteError(
                .wrongSecret, "the server does not know the secret; do not trust it, or correct the secret")
        }
        return terms
    }
}

/// The server's part: pure, no input or output.
package struct ServerHandshake {
    /// What the client said.
    package let hello: Hello
    /// The contents of the second frame.
    package let challenge: [UInt8]
    private var transcript: [UInt8]
    private var isProven = false

    /// - Throws: ``FrameError`` for what makes no sense; nil is returned when no version is spoken by both.
    package init?(
        _ payload: [UInt8], versions: ClosedRange<UInt16> = ProtocolVersion.spoken,
        nonce: [UInt8] = RandomBytes.make(Hello.nonceByteCount)
    ) throws(FrameError) {
        hello = try Hello(decoding: payload)
        guard hello.versions.overlaps(versions) else { return nil }
        let version = min(hello.versions.upperBound, versions.upperBound)
        challenge = Challenge(version: version, nonce: nonce).encoded
        transcript = payload + challenge
    }

    /// Whether the client knows the secret.
    package mutating func accept(_ proof: [UInt8], _ secret: SharedSecret) -> Bool {
        guard !isProven, MessageAuthentication.areEqual(proof, Proof.client(secret, transcript)) else {
            return false
        }
        isProven = true
        transcript += proof
        return true
    }

    /// The contents of the frame that lets a client in.
    ///
    /// - Precondition: its proof was accepted.
    package func welcome(_ terms: Terms, _ secret: SharedSecret) -> [UInt8] {
        precondition(isProven)
        return terms.encoded + Proof.server(secret, transcript + terms.encoded)
    }
}
