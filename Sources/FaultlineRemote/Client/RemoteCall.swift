internal import Faultline
internal import Synchronization

/// One call of a store, and the task that waits for it.
///
/// `@unchecked Sendable`: the caller writes `waiter` before it hands the call to the loop; from then on only the loop thread
/// touches its variables.
final class RemoteCall: @unchecked Sendable {
    enum Work: Sendable {
        case read([StoreRead])
        /// Pieces of a copy of what is to be written, one behind the other.
        case write(PageMemory, [Range<Int>])
        case trim([Range<Int>])
        case flush
    }

    /// What one request of a call is about. Indirect: it is moved about between queues.
    indirect enum Part: Sendable {
        case read(RemoteCall, StoreRead)
        case write(RemoteCall?, PageMemory, at: Int)
        case trim(RemoteCall?)
        case flush(RemoteCall?)

        var call: RemoteCall? {
            switch self {
            case .read(let call, _): call
            case .write(let call, _, _), .trim(let call), .flush(let call): call
            }
        }
    }

    let work: Work
    var waiter: TaskWaiter?
    var number: UInt64 = 0
    /// Requests that are not answered yet.
    var remaining = 0
    /// What the first request that failed got; once it is finished, what the call throws.
    private(set) var error: (any Error)?
    var isCancelled = false
    private let finished = Atomic(false)
    /// What was stored before is seen by whoever reads true, on any thread.
    var isFinished: Bool { finished.load(ordering: .acquiring) }

    init(_ work: Work) { self.work = work }

    /// One of its requests is over.
    func end(_ error: (any Error)?) {
        if self.error == nil { self.error = error }
        remaining -= 1
        if remaining == 0 { finish(self.error) }
    }

    /// Lets the task go on. Further calls have no effect.
    func finish(_ error: (any Error)?) {
        guard !isFinished else { return }
        self.error = error
        finished.store(true, ordering: .releasing)
        waiter?.resume()
        waiter = nil
    }
}
