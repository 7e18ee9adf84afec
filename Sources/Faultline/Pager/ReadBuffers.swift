import EventReactor
import Userfault

/// Where messages are read to, and sorted. Touched on the loop's thread only.
///
/// Pagers of one reactor read one after the other, and what one has read it has admitted before another's turn comes: so
/// they share these, and a thousand of them stay in the processor's caches. A pager that follows changes of the address space has
/// buffers of its own, since it may have to look at what others have read in the middle of its own messages.
final class ReadBuffers {
    let batch: EventReader
    private let faults = Confined<[Fault]>([])
    private let sorted = Confined<[Fault]>([])
    private let keys = Confined<[UInt]>([])
    /// As many positions as fit behind the address of a page.
    private static let mostKeys = SystemPage.size

    init(capacity: Int) {
        batch = EventReader(capacity: capacity)
        faults.value.reserveCapacity(capacity)
        sorted.value.reserveCapacity(capacity)
        keys.value.reserveCapacity(capacity)
    }

    /// Puts the faults that have arrived in the order of their pages. What is compared and moved is a word for each.
    func sortArrivals() {
        let count = faults.value.count
        guard count <= Self.mostKeys else { return faults.value.sortInPlace { $0.address < $1.address } }
        keys.value.removeAll(keepingCapacity: true)
        var isSorted = true
        var last: UInt = 0
        for index in 0..<count {
            let key = faults.value[index].address & ~UInt(Self.mostKeys - 1) | UInt(index)
            if key < last { isSorted = false }
            last = key
            keys.value.append(key)
        }
        if isSorted { return }
        keys.value.sortInPlace { $0 < $1 }
        sorted.value.removeAll(keepingCapacity: true)
        for key in keys.value { sorted.value.append(faults.value[Int(key & UInt(Self.mostKeys - 1))]) }
        swap(&faults.value, &sorted.value)
    }

    var arrivals: [Fault] {
        _read { yield faults.value }
        _modify { yield &faults.value }
    }
}

/// Those of a reactor, by capacity.
final class SharedReadBuffers {
    private var buffers: [Int: ReadBuffers] = [:]

    func buffers(capacity: Int) -> ReadBuffers {
        if let existing = buffers[capacity] { return existing }
        let new = ReadBuffers(capacity: capacity)
        buffers[capacity] = new
        return new
    }
}
