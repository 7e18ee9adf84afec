import Synchronization
import Userfault

/// Installs pages of somebody else's region behind the pager's back, through a descriptor of its own. The kernel lets it:
/// the pager must be content to find them there, and wake who waits.
final class Intruder: Sendable {
    private let descriptor: Userfaultfd
    private let isShared: Bool
    private let requests = Atomic<Int>(0)
    private let installs = Atomic<Int>(0)
    private let secondCopies = Atomic<Int>(0)

    /// It intrudes once in so many requests.
    private let pause: Int

    init(isShared: Bool, pages: Int) throws {
        descriptor = try Userfaultfd()
        self.isShared = isShared
        pause = min(max(pages / 8, 1), 64)
    }

    /// Pages that it installed before the pager did, and those it failed to install anew.
    var counts: (installs: Int, secondCopies: Int) {
        (installs.load(ordering: .relaxed), secondCopies.load(ordering: .relaxed))
    }

    /// Every now and then, installs a page that a handler is about to answer for; wakes nobody.
    func maybeInstall(_ page: AddressRange, from source: UInt) throws(Failure) {
        guard requests.add(1, ordering: .relaxed).newValue.isMultiple(of: pause) else { return }
        switch install(page, from: source) {
        case .whole: installs.add(1, ordering: .relaxed)
        case .exists: break
        case let outcome: throw .failed("A page could not be installed behind the pager's back: \(outcome).")
        }
    }

    /// Tries to install a page that is there, which the kernel must refuse.
    func installAgain(_ page: AddressRange, from source: UInt) throws(Failure) {
        let outcome = install(page, from: source)
        guard outcome == .exists else {
            throw .corrupt("A second copy to \(page), which was there, ended with: \(outcome).")
        }
        secondCopies.add(1, ordering: .relaxed)
    }

    private func install(_ page: AddressRange, from source: UInt) -> Outcome {
        isShared
            ? descriptor.mapExisting(page, options: .dontWake)
            : descriptor.copy(from: source, to: page, options: .dontWake)
    }
}
