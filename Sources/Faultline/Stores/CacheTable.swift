/// Which blocks of a store lie in which slots of a cache's memory, and which slot is next to be given to another. It does no
/// input or output; it is used under the cache's lock.
struct CacheTable: Sendable {
    private struct Slot {
        /// The block that lies here; nil for none, or for one that was dropped while somebody was copying it.
        var block: Int?
        /// Those who read or fill the slot, apart from `source`.
        var pins = 0
        var isReady = false
        var isReferenced = false
        /// What the slot's bytes are answered with: a slot stays as it is as long as anybody else refers to this.
        var source: PageSource
    }

    /// Where a block stands.
    enum Standing {
        case ready(slot: Int)
        case filling(slot: Int, JoinedWork)
        /// Not in the cache, and not to come in just now: it is being written.
        case changing
        case absent
    }

    private var slots: [Slot]
    private var slotOfBlock: [Int: Int] = [:]
    private var free: [Int]
    private var hand = 0
    private var fills: [Int: JoinedWork] = [:]
    /// How many calls are writing a block, and whether there were several at the same time.
    private var writers: [Int: (count: Int, areSeveral: Bool)] = [:]
    var statistics = CachedStore.Statistics()

    init(memory: Mapping, slotCount: Int) {
        slots = (0..<slotCount).map { _ in
            Slot(source: PageSource(mapping: memory, byteCount: memory.byteCount))
        }
        free = Array((0..<slotCount).reversed())
    }

    var cachedBlockCount: Int { slotOfBlock.count }

    func standing(_ block: Int) -> Standing {
        if writers[block] != nil { return .changing }
        guard let slot = slotOfBlock[block] else { return .absent }
        if slots[slot].isReady { return .ready(slot: slot) }
        guard let fill = fills[block] else { return .changing }
        return .filling(slot: slot, fill)
    }

    /// The slot of a block that is there, to be copied by the kernel; nobody writes to it as long as the source is in use.
    mutating func source(of slot: Int) -> PageSource {
        slots[slot].isReferenced = true
        return slots[slot].source
    }

    mutating func pin(_ slot: Int) {
        slots[slot].pins += 1
        slots[slot].isReferenced = true
    }

    mutating func unpin(_ slot: Int) {
        slots[slot].pins -= 1
        if slots[slot].pins == 0, slots[slot].block == nil { free.append(slot) }
    }

    /// A slot for a block that has none, pinned for who fills it; nil when all are in use.
    mutating func reserve(_ block: Int) -> Int? {
        guard let slot = freeSlot() ?? evicted() else { return nil }
        slots[slot].block = block
        slots[slot].pins = 1
        slots[slot].isReady = false
        slots[slot].isReferenced = true
        slotOfBlock[block] = slot
        return slot
    }

    mutating func beginFill(of block: Int, _ work: JoinedWork) { fills[block] = work }

    /// The slot holds its block from now on, or is given back.
    mutating func endFill(of block: Int, in slot: Int, succeeded: Bool) {
        fills[block] = nil
        if succeeded { slots[slot].isReady = true } else { drop(block) }
        unpin(slot)
    }

    /// Forgets a block. Who is copying it goes on doing so.
    mutating func drop(_ block: Int) {
        guard let slot = slotOfBlock.removeValue(forKey: block) else { return }
        slots[slot].block = nil
        if slots[slot].pins == 0 { free.append(slot) }
    }

    /// Says that a call is going to write a block. Returns its fill, if there is one, which must end first.
    mutating func beginWriting(_ block: Int) -> JoinedWork? {
        let count = writers[block]?.count ?? 0
        writers[block] = (count + 1, count > 0)
        return fills[block]
    }

    /// The slot of a block that is about to be written, pinned; the cache knows nothing of the block from now on.
    mutating func takeForWriting(_ block: Int) -> Int? {
        guard let slot = slotOfBlock[block], slots[slot].isReady else { return nil }
        pin(slot)
        drop(block)
        return slot
    }

    /// Whether one call alone has been writing the block.
    func hasOneWriter(_ block: Int) -> Bool { writers[block]?.areSeveral == false }

    mutating func endWriting(_ block: Int) {
        guard let now = writers[block] else { return }
        writers[block] = now.count > 1 ? (now.count - 1, true) : nil
    }

    private mutating func freeSlot() -> Int? {
        for index in free.indices.reversed() where isUnused(free[index]) {
            return free.remove(at: index)
        }
        return nil
    }

    /// The clock: a slot that was asked for since the hand came by last is spared once.
    private mutating func evicted() -> Int? {
        for _ in 0..<2 * slots.count {
            let slot = hand
            hand = (hand + 1) % slots.count
            guard let block = slots[slot].block, slots[slot].pins == 0, slots[slot].isReady else { continue }
            if slots[slot].isReferenced {
                slots[slot].isReferenced = false
            } else if isUnused(slot) {
                slotOfBlock[block] = nil
                slots[slot].block = nil
                statistics.evictions += 1
                return slot
            }
        }
        return nil
    }

    private mutating func isUnused(_ slot: Int) -> Bool { isKnownUniquelyReferenced(&slots[slot].source) }
}
