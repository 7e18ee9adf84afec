internal import CInThread
internal import Glibc
internal import Userfault

/// The faults that threads of an in-thread pager could not resolve themselves, on their way to the reactor.
///
/// `@unchecked`: the pointer never changes, threads put faults in by atomic operations, and only the loop's thread takes
/// them out.
@safe
final class HandoverQueue: @unchecked Sendable {
    fileprivate let queue: OpaquePointer

    /// Makes room for `capacity` faults, and sees to it that SIGBUS is handled (sigaction(2), eventfd(2)).
    init(capacity: Int, namesThreads: Bool) throws(SystemFailure) {
        let error = cinthread_prepare()
        guard error == 0 else { throw SystemFailure(call: "sigaction", errno: error) }
        guard let queue = unsafe cinthread_queue_make(UInt32(clamping: capacity), namesThreads) else {
            throw SystemFailure(call: "eventfd", errno: errno)
        }
        unsafe self.queue = queue
    }

    deinit { unsafe cinthread_queue_release(queue) }

    /// Readable when there are faults.
    var descriptor: CInt { unsafe cinthread_queue_descriptor(queue) }

    /// From now on the calling thread is the one that takes faults out, and must never wait for one.
    func isServedHere() { unsafe cinthread_queue_is_served_here(queue) }

    /// Takes out what there is, in the order of arrival, as far as `batch` has room. Allocates nothing; two system calls at
    /// most, the second if threads wait for room.
    func take(into batch: EventReader, kind: (UInt) -> Fault.Kind) {
        isServedHere()
        batch.removeAll()
        unsafe cinthread_queue_acknowledge(queue)
        var fault = cinthread_fault()
        while !batch.isFull, unsafe cinthread_queue_take(queue, &fault) {
            let address = UInt(fault.address)
            batch.append(
                Fault(
                    address: address, kind: kind(address), isWrite: fault.is_write,
                    threadID: fault.thread == 0 ? nil : fault.thread))
        }
        unsafe cinthread_queue_has_room(queue)
    }

    /// Lets the threads go that sleep for a page of `range`. Any thread.
    static func wake(_ range: AddressRange) {
        cinthread_wake(UInt64(range.start), UInt64(UInt(bitPattern: range.byteCount)))
    }

    /// Whether threads sleep for pages at this address.
    static func isFutex(_ address: UInt) -> Bool { cinthread_is_futex(UInt64(address)) }

    /// Begins to catch the faults of a range; see ``InThreadRegion``.
    func add(_ range: AddressRange, pageSize: Int, descriptor: CInt) throws(SystemFailure) -> OpaquePointer {
        let region = unsafe cinthread_add(
            queue, descriptor, UInt64(range.start), UInt64(range.byteCount), UInt64(pageSize))
        guard let region = unsafe region else { throw SystemFailure(call: "in-thread region", errno: errno) }
        return unsafe region
    }

    /// Whether the page at `address` of a shared mapping is in the page cache (mincore(2)).
    static func isCached(_ address: UInt) -> Bool {
        var residency: UInt8 = 0
        let answer = unsafe mincore(UnsafeMutableRawPointer(bitPattern: address), SystemPage.size, &residency)
        return answer == 0 && residency & 1 != 0
    }
}
