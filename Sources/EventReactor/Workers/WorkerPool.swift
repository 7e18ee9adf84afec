import Synchronization

/// Threads of our own for work that blocks or computes for long, away from the loop.
///
/// Swift's global pool is not the place for work that page faults depend on: a task of the application that touches a
/// missing page holds one of its threads until the page comes, and all of them at worst.
///
/// ```swift
/// let workers = try WorkerPool(threads: 2)
/// let bytes = try await workers.run { try decompress(block) }    // and back to where it was called
/// ```
///
/// Any thread may use a pool. The threads end when the pool is released and its last job is done.
public final class WorkerPool: TaskExecutor, Sendable {
    private let queue: WorkerQueue
    private let threads: [UInt]

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - count: how many threads; at least one.
    ///   - name: the threads' name, of which the kernel keeps 15 bytes.
    /// - Throws: ``ReactorError`` when a thread cannot be started.
    public init(threads count: Int = 2, name: String = "worker") throws(ReactorError) {
        let queue = WorkerQueue()
        var threads: [UInt] = []
        do throws(ReactorError) {
            for _ in 0..<max(count, 1) {
                threads.append(try LoopThread.start(name: name, detached: true) { queue.work() })
            }
        } catch {
            queue.close()
            throw error
        }
        self.queue = queue
        self.threads = threads
    }

    deinit { queue.close() }

    /// The number of threads.
    public var threadCount: Int { threads.count }

    /// Runs `body` on one of the threads and returns to the caller's executor with its result. `body` may block.
    /// Allocates a task's frame; wakes a thread with one system call if one sleeps.
    ///
    /// - Throws: what `body` throws.
    public func run<T: Sendable, E: Error>(_ body: @Sendable () throws(E) -> T) async throws(E) -> T {
        let result: Result<T, E> = await withTaskExecutorPreference(self) {
            do throws(E) { return Result<T, E>.success(try body()) } catch {
                return Result<T, E>.failure(error)
            }
        }
        return try result.get()
    }

    /// For the compiler's use: queues a job of a task that prefers this executor.
    public func enqueue(_ job: consuming ExecutorJob) {
        queue.add(job, for: self)
    }
}
