import CLibevent
import Glibc

/// A flag that one thread waits for, with a time limit, and others raise. Costs no descriptor.
///
/// `@unchecked Sendable`: the flag is touched under the mutex only.
@safe final class TimedSignal: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isRaised = false

    init() {
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition.initialize(to: pthread_cond_t())
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        // Not the wall clock, which is set now and then.
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    func raise() {
        unsafe pthread_mutex_lock(mutex)
        isRaised = true
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Waits until the flag is raised, and lowers it, or until `nanoseconds` have passed.
    func wait(atMost nanoseconds: Int64) {
        let deadline = SystemCall.monotonicNanoseconds() &+ nanoseconds
        var limit = timespec()
        limit.tv_sec = Int(deadline / 1_000_000_000)
        limit.tv_nsec = Int(deadline % 1_000_000_000)
        unsafe pthread_mutex_lock(mutex)
        while !isRaised, unsafe pthread_cond_timedwait(condition, mutex, &limit) == 0 {}
        isRaised = false
        unsafe pthread_mutex_unlock(mutex)
    }
}
