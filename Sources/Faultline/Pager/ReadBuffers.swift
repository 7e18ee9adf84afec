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

    init(capacity: Int) {
        batch = EventReader(capacity: capacity)
        arrivals.reserveCapacity(capacity)
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
