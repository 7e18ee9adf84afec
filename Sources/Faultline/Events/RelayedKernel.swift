package import Userfault

/// A userfaultfd whose messages are read by a thread of their own, because the thread that causes an event may hold the
/// locks of the allocator until its message is read, and the reactor's thread needs those like any other.
package final class RelayedKernel: FaultKernel {
    private let kernel: KernelDescriptor
    private let relay: MessageRelay

    package init(_ kernel: KernelDescriptor, messagesPerChunk: Int = 1023) throws(UserfaultfdError) {
        self.kernel = kernel
        relay = try MessageRelay(reading: kernel.fileDescriptor, messagesPerChunk: messagesPerChunk)
    }

    // The thread has to be gone before the descriptor is closed.
    deinit { relay.stop() }

    package var fileDescriptor: CInt { relay.fileDescriptor }
    package var features: Features { kernel.features }
    package var isRelayed: Bool { true }
    package var isCaughtUp: Bool {
        guard relay.beginFill() else { return false }
        relay.endFill()
        return true
    }
    package var canSpareDescriptors: Bool { relay.hasReserve }

    package func read(into batch: EventReader) throws(UserfaultfdError) -> Int { try batch.take(from: relay) }

    package func register(_ range: AddressRange, modes: RegistrationModes) throws(UserfaultfdError)
        -> Operations
    {
        try kernel.register(range, modes: modes)
    }

    package func unregister(_ range: AddressRange) throws(UserfaultfdError) { try kernel.unregister(range) }
    package func wake(_ range: AddressRange) throws(UserfaultfdError) { try kernel.wake(range) }

    package func copy(from source: UInt, to range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        whileQuiet { kernel.copy(from: source, to: range, wake: wake, protect: protect) }
    }

    package func move(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        whileQuiet { kernel.move(from: source, to: range, wake: wake) }
    }

    package func mapExisting(_ range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        whileQuiet { kernel.mapExisting(range, wake: wake, protect: protect) }
    }

    package func unprotect(_ range: AddressRange, wake: Bool) -> Outcome {
        whileQuiet { kernel.unprotect(range, wake: wake) }
    }

    package func protect(_ range: AddressRange) -> Outcome { whileQuiet { kernel.protect(range) } }
    package func zero(_ range: AddressRange, wake: Bool) -> Outcome {
        whileQuiet { kernel.zero(range, wake: wake) }
    }
    package func poison(_ range: AddressRange, wake: Bool) -> Outcome {
        whileQuiet { kernel.poison(range, wake: wake) }
    }

    package func discard(_ ranges: ArraySlice<AddressRange>) -> Int { kernel.discard(ranges) }

    package func probe(_ range: AddressRange) -> RangeProbe { kernel.probe(range) }

    /// The kernel refuses fills as long as an event is unread. It counts as read when the relay has it, which is too
    /// early: whoever caused it goes on, drops the pages, or maps others in their place, while the pager believes that the
    /// old contents belong there. So nothing is filled until the pager has it too.
    private func whileQuiet(_ fill: () -> Outcome) -> Outcome {
        guard relay.beginFill() else { return .again }
        defer { relay.endFill() }
        return fill()
    }

    package func stopReading() { relay.stop() }
}
