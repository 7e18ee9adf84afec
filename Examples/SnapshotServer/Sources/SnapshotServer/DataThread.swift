import Dispatch
import EventReactor
import Glibc
import KeyValueStore

/// The one thread that touches the region. It may stand still until a page has come, or been copied for a snapshot; nobody on a
/// reactor waits for it but by suspending.
///
/// `@unchecked Sendable`: the store is touched in jobs of the pool only, which has one thread and so runs one at a time.
final class DataThread: @unchecked Sendable {
    private var store: Store<RegionMemory>
    private let worker: WorkerPool
    private let permit = DispatchSemaphore(value: 0)
    /// Replies that are kept until they are sent, about.
    private static let replyLimit = 1 << 20

    init(_ store: Store<RegionMemory>) throws(ReactorError) {
        self.store = store
        worker = try WorkerPool(threads: 1, name: "data")
    }

    /// Carries out commands until their replies are long.
    ///
    /// - Parameter requests: of commands that touch the store.
    /// - Returns: the replies, and how many there are.
    func execute(_ requests: ArraySlice<[[UInt8]]>) async -> (reply: Reply, count: Int) {
        await worker.run {
            var reply = Reply()
            var count = 0
            for request in requests {
                guard reply.bytes.count < Self.replyLimit, let command = StoreCommand(name: request[0]) else {
                    break
                }
                command.execute(request, in: &self.store, reply: &reply)
                count += 1
            }
            return (reply, count)
        }
    }

    /// Where everything is, between two commands.
    var header: StoreHeader {
        get async { await worker.run { self.store.header } }
    }

    /// Makes the region an image, between two commands, and has `body` called before the next one.
    func sealed<R: Sendable>(_ body: @Sendable (StoreHeader) -> R) async -> R {
        await worker.run {
            self.store.seal(at: UInt64(max(time(nil), 0)))
            return body(self.store.header)
        }
    }

    /// Makes the region an image, between two commands, and has everything wait until ``resume()``.
    func pause() async {
        await withCheckedContinuation { continuation in
            Task(executorPreference: worker) { self.rest(continuation) }
        }
    }

    private func rest(_ continuation: CheckedContinuation<Void, Never>) {
        store.seal(at: UInt64(max(time(nil), 0)))
        continuation.resume()
        permit.wait()
    }

    /// Ends a pause. Does not block.
    func resume() { permit.signal() }
}
