internal import CRelay

/// A thread that reads a userfaultfd's messages and hands them on through a queue in memory of its own.
///
/// Whoever causes an event (fork, mremap, madvise, munmap) sleeps until its message is read, and may hold any lock
/// of the program meanwhile, those of the allocator among them. The thread takes no lock and allocates nothing; see
/// `CRelay.h` for its rules.
///
/// `@unchecked Sendable`: the pointer never changes, the C side is made for its thread and one other, and that one is the
/// owner's alone: ``EventReader/take(from:)``, filling and stopping are for one thread at a time.
@safe
package final class MessageRelay: @unchecked Sendable {
    private let relay: OpaquePointer
    /// An eventfd: readable when there are messages. May be watched by edges.
    package let fileDescriptor: CInt

    /// Starts the thread. `descriptor` must stay open until the relay is gone, and nobody else may read it.
    package init(reading descriptor: CInt, messagesPerChunk: Int = 1023) throws(UserfaultfdError) {
        var error: CInt = 0
        let chunk = UInt32(clamping: max(messagesPerChunk, 1))
        guard let relay = unsafe crelay_start(descriptor, chunk, &error) else {
            throw UserfaultfdError(operation: .relay, errno: Errno(rawValue: error))
        }
        unsafe self.relay = relay
        fileDescriptor = unsafe crelay_descriptor(relay)
    }

    deinit { unsafe crelay_free(relay) }

    /// Whether pages may be filled now: every event that has been read has been taken as well. If so, no event is read
    /// until ``endFill()``, which has to follow at once.
    package func beginFill() -> Bool { unsafe crelay_begin_fill(relay) != 0 }

    /// The fill is over.
    package func endFill() { unsafe crelay_end_fill(relay) }

    /// Whether it has descriptors left to give up when that of a fork finds no room.
    package var hasReserve: Bool { unsafe crelay_reserve_count(relay) > 0 }

    /// Ends the thread. What it has read can still be taken.
    package func stop() { unsafe crelay_stop(relay) }

    /// How many pieces its queue has now: for tests.
    package var chunkCount: Int { Int(unsafe crelay_chunk_count(relay)) }

    func take(into memory: UnsafeMutableRawPointer, capacity: Int) -> Int {
        Int(unsafe crelay_take(relay, memory, UInt64(capacity)))
    }

    func takeTrouble() -> Errno? {
        let trouble = unsafe crelay_take_trouble(relay)
        return trouble == 0 ? nil : Errno(rawValue: trouble)
    }
}
