import Foundation
import KeyValueStore

/// The image that a server starts with, as far as its header says.
struct Image {
    let isThere: Bool
    let header: StoreHeader
    /// The length of the memory in bytes.
    let memory: Int

    /// Memory without an image that says otherwise.
    static let defaultMemory = 256 << 20

    /// Reads the header of the file at `path`; an empty store if there is no file.
    ///
    /// - Throws: `StoreError` if it is none that can be taken, and what reading throws.
    init(path: String, memory: Int?) throws {
        isThere = FileManager.default.fileExists(atPath: path)
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        func pages(_ byteCount: Int) -> Int { (byteCount + page - 1) / page * page }
        guard isThere else {
            self.memory = pages(memory ?? Self.defaultMemory)
            header = try StoreHeader(capacity: self.memory)
            return
        }
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        let bytes = Array(try file.read(upToCount: StoreHeader.byteCount) ?? Data())
        let byteCount = Int(try file.seekToEnd())
        self.memory = pages(memory ?? byteCount)
        header = try StoreHeader(bytes, imageByteCount: byteCount, memoryByteCount: self.memory)
    }
}
