import Faultline
import FaultlineTestKit
import Userfault

/// A userfaultfd whose faults nobody has: the pager reads made-up ones, and all that it answers goes to the kernel. A
/// thread that waited for a page would stop a simulated processor for good.
///
/// `@unchecked Sendable`: there is one thread that makes faults and drives the loop.
final class MadeUpFaults: FaultKernel, @unchecked Sendable {
    private let real: KernelDescriptor
    private let ready: ReadyDescriptor
    private var waiting: ArraySlice<UInt> = []

    init() throws {
        real = KernelDescriptor(try Userfaultfd())
        ready = try ReadyDescriptor()
    }

    /// The next read gets these, which are at most as many as it has room for.
    func fault(at addresses: ArraySlice<UInt>) {
        waiting = addresses
        ready.makeReady()
    }

    var fileDescriptor: CInt { ready.number }
    var features: Features { real.features }

    func read(into batch: EventReader) throws(UserfaultfdError) -> Int {
        batch.removeAll()
        for address in waiting { batch.append(Fault(address: address, kind: .missing, isWrite: false)) }
        waiting = []
        return batch.count
    }

    func register(_ range: AddressRange, modes: RegistrationModes) throws(UserfaultfdError) -> Operations {
        try real.register(range, modes: modes)
    }
    func unregister(_ range: AddressRange) throws(UserfaultfdError) { try real.unregister(range) }
    func wake(_ range: AddressRange) throws(UserfaultfdError) { try real.wake(range) }
    func copy(from source: UInt, to range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        real.copy(from: source, to: range, wake: wake, protect: protect)
    }
    func move(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        real.move(from: source, to: range, wake: wake)
    }
    func mapExisting(_ range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        real.mapExisting(range, wake: wake, protect: protect)
    }
    func unprotect(_ range: AddressRange, wake: Bool) -> Outcome { real.unprotect(range, wake: wake) }
    func protect(_ range: AddressRange) -> Outcome { real.protect(range) }
    func zero(_ range: AddressRange, wake: Bool) -> Outcome { real.zero(range, wake: wake) }
    func poison(_ range: AddressRange, wake: Bool) -> Outcome { real.poison(range, wake: wake) }
    func discard(_ ranges: ArraySlice<AddressRange>) -> Int { real.discard(ranges) }
}
