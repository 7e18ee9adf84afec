import Glibc

/// Jobs that threads of a pool wait for.
///
/// `@unchecked Sendable`: `jobs`, `head` and `isClosed` are touched under `mutex` only.
@safe final class WorkerQueue: @unchecked Sendable {
    @safe private struct Entry {
        let job: UnownedJob
        let executor: UnownedTaskExecutor
    }

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var jobs: [Entry] = []
    private var head = 0
    private var isClosed = false

    init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition.initialize(to: pthread_cond_t())
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    func add(_ job: consuming ExecutorJob, for pool: WorkerPool) {
        let entry = unsafe Entry(job: UnownedJob(job), executor: UnownedTaskExecutor(ordinary: pool))
        unsafe pthread_mutex_lock(mutex)
        jobs.append(entry)
        unsafe pthread_mutex_unlock(mutex)
        unsafe pthread_cond_signal(condition)
    }

    /// Lets the threads end once no job is left.
    func close() {
        unsafe pthread_mutex_lock(mutex)
        isClosed = true
        unsafe pthread_mutex_unlock(mutex)
        unsafe pthread_cond_broadcast(condition)
    }

    /// What each thread does, until the queue is closed.
    func work() {
        while let entry = next() { unsafe entry.job.runSynchronously(on: entry.executor) }
    }

    private func next() -> Entry? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while head == jobs.count {
            if isClosed { return nil }
            unsafe pthread_cond_wait(condition, mutex)
        }
        let entry = jobs[head]
        head += 1
        if head == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            head = 0
        }
        return entry
    }
}
