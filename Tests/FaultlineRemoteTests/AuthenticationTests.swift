import FaultlineRemote
import FaultlineTestKit
import Testing

/// Secrets and what is made of them.
@Suite(.timeLimit(.minutes(5)))
struct AuthenticationTests {
    private func hex(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = text[...]
        while !rest.isEmpty {
            bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    /// FIPS 180-4 and the examples of NIST.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
        ),
    ])
    func `digests are those of SHA-256`(_ message: String, _ digest: String) {
        #expect(SHA256.digest(Array(message.utf8)) == hex(digest))
    }

    @Test func `a long message, and one that comes in pieces of every length`() {
        let million = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
        #expect(
            SHA256.digest(million) == hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"))
        let message = (0..<200).map { UInt8($0) }
        for cut in 0...200 {
            var hash = SHA256()
            hash.update(Array(message[..<cut]))
            hash.update(Array(message[cut...]))
            #expect(hash.finish() == SHA256.digest(message))
        }
    }

    /// RFC 4231; its fifth case cuts the code short and is not one of ours.
    @Test func `codes are those of HMAC-SHA256`() {
        let cases: [(key: [UInt8], message: [UInt8], code: String)] = [
            (
                [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
            ),
            (
                Array(1...25), [UInt8](repeating: 0xcd, count: 50),
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
            ),
            (
                [UInt8](repeating: 0xaa, count: 131),
                Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
            (
                [UInt8](repeating: 0xaa, count: 131),
                Array(
                    "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm."
                        .utf8),
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
            ),
        ]
        for one in cases { #expect(MessageAuthentication.code(one.message, key: one.key) == hex(one.code)) }
    }

    @Test func `equal codes are equal, and others not`() {
        let code = MessageAuthentication.code([1], key: [2])
        #expect(MessageAuthentication.areEqual(code, code))
        #expect(!MessageAuthentication.areEqual(code, Array(code.dropLast())))
        #expect(!MessageAuthentication.areEqual([], code))
        for bit in 0..<256 {
            var other = code
            other[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!MessageAuthentication.areEqual(code, other))
        }
    }

    @Test func `a secret can be had from a file`() throws {
        let file = TemporaryFile(Array("a secret of thirty-two bytes, ok".utf8))
        let secret = try SharedSecret(contentsOfFile: file.path)
        let same = try SharedSecret(Array("a secret of thirty-two bytes, ok".utf8))
        #expect("\(secret)" == "\(same)")
        for bytes in [[], [UInt8](repeating: 1, count: 15), [UInt8](repeating: 1, count: 4097)] {
            let bad = TemporaryFile(bytes)
            #expect(throws: RemoteError.self) { try SharedSecret(contentsOfFile: bad.path) }
        }
        #expect(throws: RemoteError.self) { try SharedSecret(contentsOfFile: "/nonexistent/secret") }
    }

    @Test func `a secret has enough bytes, and does not show them`() throws {
        do throws(RemoteError) {
            _ = try SharedSecret([UInt8](repeating: 1, count: 15))
            Issue.record("15 bytes are too few")
        } catch {
            #expect(error.code == .badSecret)
            #expect(error.description.contains("15"))
        }
        let bytes = Array("correct horse battery".utf8)
        let secret = try SharedSecret(bytes)
        #expect("\(secret) \(String(reflecting: secret))".contains("horse") == false)
        var dumped = ""
        dump(secret, to: &dumped)
        #expect(!dumped.contains("99"), "the bytes are not in \(dumped)")
        #expect(SharedSecret.random().bytes != SharedSecret.random().bytes)
        #expect(SharedSecret.random().bytes.count == 32)
    }
}
