/// The name of a timer that was started. Never reused within 4 billion timers of the same slot.
public struct TimerID: Hashable, Sendable {
    let slot: UInt32
    let generation: UInt32

    /// The name of no timer: what `startTimer` returns once the reactor shuts down.
    public static let none = TimerID(slot: .max, generation: 0)
}

/// The running timers, earliest first: a 4-ary heap whose entries know their slots, so that cancelling costs
/// O(log n) and nothing is allocated once the arrays have grown. No clock and no system calls in here.
package struct TimerQueue {
    private struct Entry {
        var deadline: Int64
        /// Equal deadlines fire in the order they were started.
        var sequence: UInt64
        var slot: Int

        func precedes(_ other: Entry) -> Bool {
            deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence
        }
    }

    private struct Slot {
        var generation: UInt32 = 0
        /// Index in the heap; for a free slot, the next free one.
        var position: Int
        var handler: (any TimerHandler)?
    }

    private static let none = -1

    private var heap: [Entry] = []
    private var slots: [Slot] = []
    private var firstFree = TimerQueue.none
    private var nextSequence: UInt64 = 0

    /// An empty queue.
    package init() {}

    /// How many timers run.
    package var count: Int { heap.count }
    /// The earliest deadline.
    package var earliest: Int64? { heap.first?.deadline }

    /// Starts a timer.
    package mutating func insert(deadline: Int64, _ handler: any TimerHandler) -> TimerID {
        let slot: Int
        if firstFree != Self.none {
            slot = firstFree
            firstFree = slots[slot].position
            slots[slot].handler = handler
        } else {
            slot = slots.count
            slots.append(Slot(position: 0, handler: handler))
        }
        let entry = Entry(deadline: deadline, sequence: nextSequence, slot: slot)
        nextSequence &+= 1
        heap.append(entry)
        siftUp(from: heap.count - 1, entry)
        return TimerID(slot: UInt32(truncatingIfNeeded: slot), generation: slots[slot].generation)
    }

    /// Takes a timer out; `nil` if it has fired, was cancelled, or never was.
    package mutating func remove(_ id: TimerID) -> (any TimerHandler)? {
        let slot = Int(id.slot)
        guard slot < slots.count, slots[slot].generation == id.generation, slots[slot].handler != nil
        else { return nil }
        return removeEntry(at: slots[slot].position).handler
    }

    /// Takes out the earliest timer if its deadline is not after `now`.
    package mutating func popFirst(until now: Int64) -> (id: TimerID, handler: any TimerHandler)? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        let (id, handler) = removeEntry(at: 0)
        guard let handler else { return nil }
        return (id, handler)
    }

    private mutating func removeEntry(at index: Int) -> (id: TimerID, handler: (any TimerHandler)?) {
        let slot = heap[index].slot
        let last = heap.removeLast()
        if index < heap.count {
            if index > 0, last.precedes(heap[(index - 1) / 4]) {
                siftUp(from: index, last)
            } else {
                siftDown(from: index, last)
            }
        }
        let handler = slots[slot].handler
        let id = TimerID(slot: UInt32(truncatingIfNeeded: slot), generation: slots[slot].generation)
        slots[slot].handler = nil
        slots[slot].generation &+= 1
        slots[slot].position = firstFree
        firstFree = slot
        return (id, handler)
    }

    private mutating func siftUp(from start: Int, _ entry: Entry) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 4
            guard entry.precedes(heap[parent]) else { break }
            place(heap[parent], at: index)
            index = parent
        }
        place(entry, at: index)
    }

    private mutating func siftDown(from start: Int, _ entry: Entry) {
        var index = start
        while true {
            let firstChild = index * 4 + 1
            guard firstChild < heap.count else { break }
            var smallest = firstChild
            for child in (firstChild + 1)..<max(firstChild + 1, min(firstChild + 4, heap.count))
            where heap[child].precedes(heap[smallest]) {
                smallest = child
            }
            guard heap[smallest].precedes(entry) else { break }
            place(heap[smallest], at: index)
            index = smallest
        }
        place(entry, at: index)
    }

    private mutating func place(_ entry: Entry, at index: Int) {
        heap[index] = entry
        slots[entry.slot].position = index
    }
}
