import EventReactor
import Userfault

extension PagerCore {
    /// Takes memory of another process into service.
    ///
    /// - Parameter pool: where its buffers come from; nil for a pool of its own.
    @discardableResult
    func adopt(_ memory: AdoptableRange, pool: PageBufferPool? = nil) throws(PagerError) -> RegionState {
        let range = memory.range
        guard isForeign else { throw .wrongProcess("adopted; register it instead", range) }
        let page = memory.actualPageSize
        guard page >= RegionState.systemPageSize, page & (page - 1) == 0, memory.offset >= 0 else {
            throw PagerError(
                .invalidRange, "pages of \(page) bytes at offset \(memory.offset) cannot be served",
                range: range)
        }
        try checkBounds(range, pageSize: page)
        return try add(
            RegionState(
                mapping: .borrowed(range), ownsMemory: false, pageSize: page, memoryKind: memory.memory,
                baseOffset: memory.offset, isRegisteredByPeer: memory.registration == .byPeer,
                handler: watched(memory.handler), options: memory.options, pool: pool))
    }

    /// Takes ranges into service that may be many: those with pages of one size share their buffers.
    func adopt(_ memory: [AdoptableRange]) throws(PagerError) {
        var pools: [Int: PageBufferPool] = [:]
        for range in memory {
            let page = range.actualPageSize
            // What is no size of a page is refused by the call.
            let pool = pools[page] ?? (page > 0 ? PageBufferPool(pageSize: page) : nil)
            pools[page] = pool
            try adopt(range, pool: pool)
        }
    }
}

extension AdoptableRange {
    var actualPageSize: Int {
        pageSize ?? (memory == .hugePages ? RegionState.hugePageSize : RegionState.systemPageSize)
    }
}

extension Operations {
    /// What the kernel offers for memory that is registered with `modes`, as far as it is used here: for memory that others
    /// register, to whom the kernel tells it. What it does not offer after all is refused when it is first asked for.
    static func expected(of memory: MemoryKind, _ modes: RegistrationModes) -> Operations {
        var operations: Operations = [.wake, .copy, .poison]
        if memory != .hugePages { operations.insert(.zero) }
        if modes.contains(.minor) { operations.insert(.mapExisting) }
        if modes.contains(.writeProtect) { operations.insert(.writeProtect) }
        return operations
    }
}
