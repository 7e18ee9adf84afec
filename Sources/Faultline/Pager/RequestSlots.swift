/// Names a request that has a task. A late answer is known by its old generation.
struct RequestID: Hashable, Sendable {
    var index: UInt32
    var generation: UInt32

    static let none = RequestID(index: .max, generation: 0)
}

/// The requests whose answers are awaited, in slots that are used again.
struct RequestSlots<Entry> {
    private struct Slot {
        var generation: UInt32 = 1
        var entry: Entry?
    }

    private var slots: [Slot] = []
    private var free: [UInt32] = []
    private(set) var count = 0

    mutating func insert(_ entry: Entry) -> RequestID {
        count += 1
        if let index = free.popLast() {
            slots[Int(index)].entry = entry
            return RequestID(index: index, generation: slots[Int(index)].generation)
        }
        slots.append(Slot(entry: entry))
        return RequestID(index: UInt32(slots.count - 1), generation: 1)
    }

    subscript(id: RequestID) -> Entry? {
        guard id.index < slots.count, slots[Int(id.index)].generation == id.generation else { return nil }
        return slots[Int(id.index)].entry
    }

    /// Changes the entry; false when it is gone.
    @discardableResult
    mutating func update(_ id: RequestID, _ change: (inout Entry) -> Void) -> Bool {
        guard id.index < slots.count, slots[Int(id.index)].generation == id.generation, var entry = self[id]
        else { return false }
        slots[Int(id.index)].entry = nil
        change(&entry)
        slots[Int(id.index)].entry = entry
        return true
    }

    @discardableResult
    mutating func remove(_ id: RequestID) -> Entry? {
        guard let entry = self[id] else { return nil }
        slots[Int(id.index)].entry = nil
        slots[Int(id.index)].generation &+= 1
        free.append(id.index)
        count -= 1
        return entry
    }

    /// The ids of all entries that fulfil a condition.
    func ids(where condition: (Entry) -> Bool) -> [RequestID] {
        slots.indices.compactMap { index in
            guard let entry = slots[index].entry, condition(entry) else { return nil }
            return RequestID(index: UInt32(index), generation: slots[index].generation)
        }
    }
}
