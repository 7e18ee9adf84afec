import CheckpointImages
import Faultline
import Foundation
import Userfault

/// The images of a checkpoint.
struct ImageFolder: Sendable {
    let path: String
    let pageSize = UInt64(SystemPage.size)

    /// The processes.
    func processTree() throws -> ProcessTree {
        try decode("pstree.img") { bytes throws(ImageError) in try ProcessTree(decoding: bytes) }
    }

    /// What of a process's memory is to be served.
    ///
    /// - Parameter isLocal: whether the pages are in the images.
    func lazyMemory(of processID: Int32, isLocal: Bool) throws -> (memory: LazyMemory, pages: PageMap) {
        let pageSize = self.pageSize
        let map = try decode("mm-\(processID).img") { bytes throws(ImageError) in
            try MemoryMap(decoding: bytes, pageSize: pageSize)
        }
        let name = "pagemap-\(processID).img"
        let pages = try decode(name) { bytes throws(ImageError) in
            try PageMap(decoding: bytes, pageSize: pageSize)
        }
        do throws(ImageError) {
            return (try LazyMemory(map, pages, pageSize: pageSize, isLocal: isLocal), pages)
        } catch {
            throw error.of(name)
        }
    }

    /// The contents of pages, as they lie in the page cache.
    func pages(of map: PageMap) throws -> PageSource {
        let name = "pages-\(map.pagesID).img"
        let source: PageSource
        do {
            source = try PageSource(mappingFileAt: path + "/" + name)
        } catch {
            throw LazyPagesError(.unreadableImage, "\(name) cannot be mapped: \(error)")
        }
        guard UInt64(source.byteCount) >= map.pagesByteCount else {
            throw LazyPagesError(
                .unreadableImage,
                "\(name) has \(source.byteCount) bytes and should have \(map.pagesByteCount): it is truncated"
            )
        }
        return source
    }

    private func decode<Image>(
        _ name: String, _ decode: ([UInt8]) throws(ImageError) -> Image
    ) throws -> Image {
        let bytes: Data
        do {
            bytes = try Data(contentsOf: URL(fileURLWithPath: path).appendingPathComponent(name))
        } catch {
            throw LazyPagesError(.unreadableImage, "\(name) cannot be read: \(error.localizedDescription)")
        }
        do throws(ImageError) {
            return try decode([UInt8](bytes))
        } catch {
            throw error.of(name)
        }
    }
}
