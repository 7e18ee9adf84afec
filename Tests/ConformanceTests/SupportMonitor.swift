import CTestSupport
import FaultlineTestKit
import Testing
import Userfault

/// A descriptor that several threads use.
final class Served: Sendable {
    let uffd: Userfaultfd

    init(_ features: Features = []) throws {
        uffd = try Userfaultfd(requiring: features)
    }

    init(adopting uffd: consuming Userfaultfd) { self.uffd = uffd }

    /// Registered memory and its descriptor in one step.
    convenience init(_ area: Area, _ modes: RegistrationModes = .missing, features: Features = []) throws {
        try self.init(features)
        _ = try uffd.register(area.whole, modes: modes)
    }

    /// Threads that wait and whose messages were not read.
    var pending: Int { get throws { try uffd.status().pending } }
    /// Threads that wait.
    var waiting: Int { get throws { try uffd.status().total } }
}

/// Serves a descriptor from a thread of its own, and counts what it reads, as the kernel's own tests do.
final class Monitor: Sendable {
    struct Counts: Equatable, Sendable {
        var missing = 0
        var minor = 0
        var writeProtect = 0
        var events = 0
        var wrong: [String] = []
    }

    /// Lasts as long as the thread or the monitor.
    private final class Stopper: Sendable {
        let descriptor = ctest_event_counter()
        deinit { _ = ctest_close(descriptor) }
    }

    private let stopper: Stopper
    private let thread: FaultingThread<Counts>

    /// - Parameter answer: what to do about a fault; anything but `.whole` is remembered as wrong.
    init(_ served: Served, answer: @escaping @Sendable (Fault, borrowing Userfaultfd) -> Outcome) {
        let stopper = Stopper()
        self.stopper = stopper
        thread = FaultingThread { Monitor.run(served, stopper, answer) }
    }

    /// For descriptors of which nothing but events is expected.
    convenience init(_ served: Served) {
        self.init(served) { _, _ in .again }
    }

    /// Ends the thread; what it has counted.
    func stop() async -> Counts {
        ctest_event_signal(stopper.descriptor)
        return await thread.value
    }

    deinit {
        ctest_event_signal(stopper.descriptor)
    }

    private static func run(
        _ served: Served, _ stopper: Stopper, _ answer: (Fault, borrowing Userfaultfd) -> Outcome
    ) -> Counts {
        var counts = Counts()
        var batch = EventBatch(capacity: 16)
        // Descriptors of children stay open, or the pages of these would be ordinary memory.
        var children: [Served] = []
        while true {
            let ready = ctest_wait_two(served.uffd.fileDescriptor, stopper.descriptor, 1000)
            if ready == 2 { break }
            do {
                guard ready & 1 != 0, try batch.read(from: served.uffd) > 0 else { continue }
            } catch {
                counts.wrong.append("\(error)")
                break
            }
            for index in 0..<batch.count {
                guard case .fault(let fault) = batch[index] else {
                    counts.events += 1
                    if let child = batch.takeFork(at: index) { children.append(Served(adopting: child)) }
                    continue
                }
                switch fault.kind {
                case .missing: counts.missing += 1
                case .minor: counts.minor += 1
                case .writeProtect: counts.writeProtect += 1
                }
                let outcome = answer(fault, served.uffd)
                if outcome != .whole { counts.wrong.append("\(fault): \(outcome)") }
            }
        }
        return counts
    }
}

extension EventBatch {
    /// Reads one message, waiting for it; a test that waits in vain fails.
    ///
    /// For batches with room for one: whoever waits until a message is read may send the next one before the same
    /// read ends, which would take it along.
    mutating func next(from served: Served) throws -> Event {
        try #require(capacity == 1, "messages that nobody looks at would be lost")
        var patience = 30
        while try read(from: served.uffd) == 0, patience > 0 {
            _ = ctest_wait_readable(served.uffd.fileDescriptor, 1000)
            patience -= 1
        }
        try #require(count > 0, "no message came")
        return self[0]
    }

    /// The same, for a fault.
    mutating func nextFault(from served: Served) throws -> Fault {
        guard case .fault(let fault) = try next(from: served) else { throw Unexpected(event: self[0]) }
        return fault
    }
}

struct Unexpected: Error {
    var event: Event
}

extension Outcome {
    /// The errno of a failure.
    var errno: Errno? {
        if case .failed(let error) = self { return error.errno }
        return nil
    }
}

extension Userfaultfd {
    /// Waits out the window in which an event is being carried out.
    borrowing func untilNotAgain(_ body: (borrowing Userfaultfd) -> Outcome) throws -> Outcome {
        var outcome = Outcome.again
        try eventually {
            outcome = body(self)
            return outcome != .again
        }
        return outcome
    }
}

/// Whether pagemap says that the page is write-protected.
func isProtected(_ address: UInt, ofProcess process: Int32? = nil) throws -> Bool {
    guard let process else { return try PagemapScanner().entry(at: address).isWriteProtected }
    return try PagemapScanner(ofProcess: process).entry(at: address).isWriteProtected
}
