import Faultline
import KeyValueStore

/// A region as the memory of a store. Every access may wait for a page, and so is for the data thread only.
struct RegionMemory: StoreMemory {
    let region: Region

    var byteCount: Int { region.byteCount }

    func load(_ offset: Int) -> UInt64 { region.load(fromByteOffset: offset, as: UInt64.self) }

    func store(_ value: UInt64, _ offset: Int) { region.store(value, toByteOffset: offset) }

    func write(_ bytes: [UInt8], _ offset: Int) { region.writeBytes(bytes, at: offset) }

    func withBytes<R>(_ range: Range<Int>, _ body: (RawSpan) -> R) -> R { region.withBytes(range, body) }
}
