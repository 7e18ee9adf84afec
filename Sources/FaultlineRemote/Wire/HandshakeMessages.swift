/// What a client says first.
package struct Hello: Hashable, Sendable {
    package static let identifierByteCount = 16
    package static let nonceByteCount = 32
    /// The longest name of an export, in bytes of UTF-8.
    package static let longestName = 255

    /// The versions that the client speaks.
    package var versions: ClosedRange<UInt16>
    /// Random, the same for all connections of one store: what is left of an earlier one is ended before this one begins.
    package var client: [UInt8]
    package var nonce: [UInt8]
    package var export: String

    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: versions.lowerBound)
        bytes.append(number: versions.upperBound)
        bytes += client + nonce
        bytes.append(number: UInt16(export.utf8.count))
        return bytes + export.utf8
    }

    package init(versions: ClosedRange<UInt16>, client: [UInt8], nonce: [UInt8], export: String) {
        self.versions = versions
        self.client = client
        self.nonce = nonce
        self.export = export
    }

    package init(decoding bytes: [UInt8]) throws(FrameError) {
        var reader = ByteReader(bytes)
        let lowest = try reader.number(UInt16.self)
        let highest = try reader.number(UInt16.self)
        guard lowest <= highest else { throw .badHandshake("no version is spoken") }
        versions = lowest...highest
        client = try reader.take(Self.identifierByteCount)
        nonce = try reader.take(Self.nonceByteCount)
        let count = Int(try reader.number(UInt16.self))
        guard (1...Self.longestName).contains(count) else { throw .badHandshake("the name's length") }
        let name = try reader.take(count)
        guard let export = String(validating: name, as: UTF8.self) else {
            throw .badHandshake("the name is no UTF-8")
        }
        self.export = export
        try reader.end()
    }
}

/// What a server answers.
package struct Challenge: Hashable, Sendable {
    /// The version that is spoken from here on.
    package var version: UInt16
    package var nonce: [UInt8]

    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: version)
        bytes.append(number: UInt16(0))
        return bytes + nonce
    }

    package init(version: UInt16, nonce: [UInt8]) {
        self.version = version
        self.nonce = nonce
    }

    package init(decoding bytes: [UInt8]) throws(FrameError) {
        var reader = ByteReader(bytes)
        version = try reader.number()
        guard try reader.number(UInt16.self) == 0 else { throw .badHandshake("a field that is not known") }
        nonce = try reader.take(Hello.nonceByteCount)
        try reader.end()
    }
}

/// What a client may do once it is let in.
package struct Terms: Hashable, Sendable {
    /// Random, new whenever a server starts: writes that were not flushed under another one may be lost.
    package var instance: [UInt8]
    package var byteCount: Int
    package var isReadOnly: Bool
    /// The most bytes that one request may read or write.
    package var requestByteLimit: Int
    /// Requests, and bytes they read and write, that may be under way.
    package var windowRequests: Int
    package var windowByteCount: Int

    package var encoded: [UInt8] {
        var bytes = instance
        bytes.append(number: UInt64(byteCount))
        bytes.append(number: UInt32(isReadOnly ? 1 : 0))
        bytes.append(number: UInt32(requestByteLimit))
        bytes.append(number: UInt32(windowRequests))
        bytes.append(number: UInt32(windowByteCount))
        return bytes
    }

    package init(
        instance: [UInt8], byteCount: Int, isReadOnly: Bool, requestByteLimit: Int, windowRequests: Int,
        windowByteCount: Int
    ) {
        self.instance = instance
        self.byteCount = byteCount
        self.isReadOnly = isReadOnly
        self.requestByteLimit = requestByteLimit
        self.windowRequests = windowRequests
        self.windowByteCount = windowByteCount
    }

    init(_ reader: inout ByteReader) throws(FrameError) {
        instance = try reader.take(Hello.identifierByteCount)
        let byteCount = try reader.number(UInt64.self)
        guard (1...UInt64(Int.max - (1 << 30))).contains(byteCount) else {
            throw .badHandshake("the length of the store")
        }
        self.byteCount = Int(byteCount)
        let flags = try reader.number(UInt32.self)
        guard flags <= 1 else { throw .badHandshake("a field that is not known") }
        isReadOnly = flags == 1
        requestByteLimit = Int(try reader.number(UInt32.self))
        windowRequests = Int(try reader.number(UInt32.self))
        windowByteCount = Int(try reader.number(UInt32.self))
        guard requestByteLimit >= 4096, windowRequests >= 1, windowByteCount >= requestByteLimit else {
            throw .badHandshake("limits under which nothing can be done")
        }
    }
}
