/// The memory of a process that is left out when it is restored: what two images say about it, put together.
public struct LazyMemory: Hashable, Sendable {
    /// Adjacent pages of one mapping.
    public struct Piece: Hashable, Sendable {
        /// Their addresses.
        public var range: Range<UInt64>
        /// Where they begin in the image with the pages, in bytes; nil where they are not in it.
        public var offset: UInt64?
    }

    /// The pieces, in ascending order. None reaches over the end of a mapping.
    public var pieces: [Piece] = []
    /// Bytes that are said to come later, and whose mapping is not of that kind, or that have none.
    public var misplacedByteCount: UInt64 = 0

    /// Cuts the runs of lazy pages at the bounds of the mappings.
    ///
    /// - Parameters:
    ///   - map: the mappings.
    ///   - pages: the runs.
    ///   - pageSize: the system's.
    ///   - isLocal: whether the pages must be in the image.
    /// - Throws: ``ImageError`` where they must be and are not.
    public init(
        _ map: MemoryMap, _ pages: PageMap, pageSize: UInt64 = 4096, isLocal: Bool
    ) throws(ImageError) {
        var area = 0
        for run in pages.runs where run.isLazy {
            if isLocal, run.offset == nil {
                let place = run.isInParent ? "in the image that this one builds on" : "with a page server"
                throw ImageError(
                    .unsupported,
                    "the contents of the \(run.pageCount) pages at \(hex(run.start)) are \(place)",
                    at: 0)
            }
            let range = run.start..<run.start + run.pageCount * pageSize
            var placed: UInt64 = 0
            while area < map.areas.count, map.areas[area].range.upperBound <= range.lowerBound { area += 1 }
            var next = area
            while next < map.areas.count, map.areas[next].range.lowerBound < range.upperBound {
                let part = map.areas[next].range.clamped(to: range)
                if map.areas[next].mayBeLazy {
                    pieces.append(
                        Piece(range: part, offset: run.offset.map { $0 + part.lowerBound - range.lowerBound })
                    )
                    placed += part.upperBound - part.lowerBound
                }
                next += 1
            }
            misplacedByteCount += range.upperBound - range.lowerBound - placed
        }
    }

    /// How much there is, in bytes.
    public var byteCount: UInt64 {
        pieces.reduce(0) { $0 + $1.range.upperBound - $1.range.lowerBound }
    }
}
