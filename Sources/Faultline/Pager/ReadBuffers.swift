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
    /// Where those stand that are to be admitted first, second and so on, behind the addresses of their pages.
    private let order = Confined<[UInt]>([])
    private var isOrdered = true
    /// What is behind the address of a page: a position, of which as many fit there.
    private let position = UInt(SystemPage.size - 1)

    init(capacity: Int) {
        batch = EventReader(capacity: capacity)
        faults.value.reserveCapacity(capacity)
        order.value = Array(repeating: 0, count: capacity)
    }

    var count: Int { faults.value.count }

    /// Reads messages into `batch`.
    func read(from kernel: any FaultKernel) throws(UserfaultfdError) -> Int { try kernel.read(into: batch) }

    /// The fault to be admitted at `place`.
    subscript(place: Int) -> Fault {
        isOrdered ? faults.value[place] : faults.value[Int(order.value[place] & position)]
    }

    /// Takes over the faults of the last read from `index` on, up to the first message that is none, or `limit`; its index.
    func takeFaults(from index: Int, below limit: Int) -> Int {
        batch.appendFaults(from: index, below: limit, to: &faults.value)
    }

    func append(contentsOf backlog: [Fault]) { faults.value.append(contentsOf: backlog) }

    func removeAll() {
        isOrdered = true
        // Most reads bring one, and to remove one costs a fifth of removing all.
        switch faults.value.count {
        case 0: break
        case 1: faults.value.removeLast()
        default: faults.value.removeAll(keepingCapacity: true)
        }
    }

    /// Puts the faults that have arrived in the order of their pages. What is compared and moved is a word for each.
    func sort() {
        let count = faults.value.count
        guard count > 1 else { return }
        guard count <= Int(position) + 1 else { return faults.value.sortInPlace { $0.address < $1.address } }
        if order.value.count < count {
            order.value.append(contentsOf: repeatElement(0, count: count - order.value.count))
        }
        isOrdered = Self.order(faults.value, &order.value, position)
    }

    /// Writes the order in which `faults` are to be admitted into `order`; whether it is that in which they came.
    private static func order(_ faults: [Fault], _ order: inout [UInt], _ position: UInt) -> Bool {
        let faults = faults.span
        var keys = order.mutableSpan
        var isOrdered = true
        var last: UInt = 0
        for index in faults.indices {
            let key = faults[index].address & ~position | UInt(index)
            if key < last { isOrdered = false }
            last = key
            keys[index] = key
        }
        if !isOrdered { keys.sortInPlace(faults.count) { $0 < $1 } }
        return isOrdered
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
