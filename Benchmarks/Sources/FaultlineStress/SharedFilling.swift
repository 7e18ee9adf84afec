import Faultline
import Synchronization

/// Shared memory whose pages are filled once each, through its own mapping, by whoever comes first: the handler or the
/// thread that fills ahead. Filling twice would undo what was counted in between.
final class SharedFilling: Sendable {
    private enum State { case empty, filling, there }

    let memory: SharedMemory
    private let source: Source
    // Held for the look at a page's state only, never across an access to pages.
    private let states: Mutex<[State]>

    init(_ memory: SharedMemory, from source: Source) {
        self.memory = memory
        self.source = source
        states = Mutex([State](repeating: .empty, count: memory.byteCount / memory.pageSize))
    }

    /// Fills a page, unless somebody has. False while somebody else is at it. Any thread.
    func fill(_ page: Int) -> Bool {
        let found = states.withLock { states in
            defer { if states[page] == .empty { states[page] = .filling } }
            return states[page]
        }
        guard found == .empty else { return found == .there }
        let start = page * memory.pageSize
        source.copy(start..<start + memory.pageSize, to: memory)
        states.withLock { $0[page] = .there }
        return true
    }
}
