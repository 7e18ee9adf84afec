import Userfault

/// Memory that was mapped to be served.
struct MappedMemory: Sendable {
    let mapping: Mapping
    let pageSize: Int
    let kind: MemoryKind
    /// Whether nothing can be in it that no handler put there.
    let isFresh: Bool

    /// Private memory of `byteCount` bytes, rounded up to pages.
    init(byteCount: Int, _ options: RegionOptions) throws(PagerError) {
        pageSize = options.usesHugePages ? RegionState.hugePageSize : RegionState.systemPageSize
        guard byteCount > 0, byteCount <= Int.max - pageSize else {
            throw PagerError(.invalidRange, "a region cannot have \(byteCount) bytes")
        }
        let rounded = (byteCount + pageSize - 1) / pageSize * pageSize
        do {
            mapping =
                if options.usesHugePages {
                    try Mapping.huge(byteCount: rounded, inheritedByFork: options.isInheritedByFork)
                } else if options.fillsHugePages {
                    try Mapping.anonymousAligned(
                        byteCount: rounded, inheritedByFork: options.isInheritedByFork)
                } else {
                    try Mapping.anonymous(byteCount: rounded, inheritedByFork: options.isInheritedByFork)
                }
        } catch {
            throw PagerError(error)
        }
        kind = options.usesHugePages ? .hugePages : .privateAnonymous
        isFresh = true
    }

    /// A mapping of shared memory.
    init(_ memory: SharedMemory, isPrivate: Bool, _ options: RegionOptions) throws(PagerError) {
        do {
            mapping = try Mapping.writableFile(
                memory.file, byteCount: memory.byteCount, isPrivate: isPrivate,
                inheritedByFork: options.isInheritedByFork)
        } catch {
            throw PagerError(error)
        }
        pageSize = memory.pageSize
        kind = memory.pageSize == RegionState.hugePageSize ? .hugePages : .sharedMemory
        isFresh = false
    }
}
