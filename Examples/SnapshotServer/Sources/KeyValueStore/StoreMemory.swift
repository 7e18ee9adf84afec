/// Memory that a store lives in. Offsets are bytes from its start; none outside of it are asked for.
public protocol StoreMemory {
    /// Its length in bytes.
    var byteCount: Int { get }
    /// Reads a word.
    func load(_ offset: Int) -> UInt64
    /// Writes a word.
    func store(_ value: UInt64, _ offset: Int)
    /// Writes bytes.
    func write(_ bytes: [UInt8], _ offset: Int)
    /// Lends bytes for reading.
    func withBytes<R>(_ range: Range<Int>, _ body: (RawSpan) -> R) -> R
}

extension StoreMemory {
    func bytes(_ range: Range<Int>) -> [UInt8] {
        var result: [UInt8] = []
        append(range, to: &result)
        return result
    }

    func append(_ range: Range<Int>, to result: inout [UInt8]) {
        guard !range.isEmpty else { return }
        withBytes(range) { span in span.withUnsafeBytes { result.append(contentsOf: $0) } }
    }

    func equals(_ range: Range<Int>, _ bytes: [UInt8]) -> Bool {
        guard range.count == bytes.count else { return false }
        guard !range.isEmpty else { return true }
        return withBytes(range) { span in span.withUnsafeBytes { $0.elementsEqual(bytes) } }
    }
}
