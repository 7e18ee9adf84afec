import CTestSupport
import Glibc
import Testing
import Userfault

/// Registered memory, its descriptor, and a source of pages: page N is full of N + 1.
final class Trapped: Sendable {
    let memory: Memory
    let source: Memory
    let descriptor: Userfaultfd
    let operations: Operations

    init(
        pages: Int = 8, _ kind: Memory.Kind = .anonymous, modes: RegistrationModes = .missing,
        features: Features = []
    ) throws {
        memory = Memory(pages: pages, kind)
        source = Memory(pages: 8)
        for page in 0..<8 { source.poke(page, UInt8(page + 1)) }
        descriptor = try Userfaultfd(requiring: features)
        operations = try descriptor.register(memory.whole, modes: modes)
    }

    func copy(_ first: Int, _ count: Int = 1, options: CopyOptions = []) -> Outcome {
        descriptor.copy(from: source.address(of: 0), to: memory.pages(first, count), options: options)
    }

    func zero(_ first: Int, _ count: Int = 1) -> Outcome {
        descriptor.zero(memory.pages(first, count))
    }
}

/// A thread that does one thing, and what came of it. Joined by whoever started it.
@safe
struct Deed: ~Copyable {
    private let thread: UnsafeMutablePointer<ctest_thread>

    private init(_ deed: ctest_deed, _ a: UInt, _ b: UInt = 0, _ c: UInt = 0) {
        unsafe thread = ctest_start(deed, UInt64(a), UInt64(b), UInt64(c))
    }

    static func peek(_ address: UInt) -> Deed { Deed(ctest_deed_peek, address) }

    static func poke(_ address: UInt, _ value: UInt8) -> Deed { Deed(ctest_deed_poke, address, UInt(value)) }

    static func systemCall(reading address: UInt) -> Deed { Deed(ctest_deed_system_call, address) }

    static func dropPages(_ range: AddressRange) -> Deed {
        Deed(ctest_deed_madvise, range.start, UInt(range.byteCount), UInt(MADV_DONTNEED))
    }

    static func unmap(_ range: AddressRange) -> Deed {
        Deed(ctest_deed_munmap, range.start, UInt(range.byteCount))
    }

    static func moveMapping(_ range: AddressRange, to: UInt) -> Deed {
        Deed(ctest_deed_mremap, range.start, UInt(range.byteCount), to)
    }

    static func forkAndPeek(_ address: UInt) -> Deed { Deed(ctest_deed_fork_and_peek, address) }

    var threadID: UInt32 {
        while true {
            let id = unsafe ctest_thread_id(thread)
            if id != 0 { return id }
            _ = ctest_pause(10_000)
        }
    }

    consuming func join() -> Int64 { unsafe ctest_join(thread) }
}

extension EventBatch {
    /// Reads one message, waiting for it; a test that waits in vain fails.
    ///
    /// For batches with room for one: whoever waits until a message is read may send the next one before the same
    /// read ends, which would take it along.
    mutating func next(from descriptor: borrowing Userfaultfd) throws -> Event {
        try #require(capacity == 1, "messages that nobody looks at would be lost")
        var patience = 30
        while try read(from: descriptor) == 0, patience > 0 {
            _ = ctest_wait_readable(descriptor.fileDescriptor, 1000)
            patience -= 1
        }
        try #require(count > 0, "no message came")
        return self[0]
    }

    /// The same, for a fault.
    mutating func nextFault(from descriptor: borrowing Userfaultfd) throws -> Fault {
        let event = try next(from: descriptor)
        guard case .fault(let fault) = event else {
            throw Unexpected(event: event)
        }
        return fault
    }
}

struct Unexpected: Error {
    var event: Event
}

/// Waits for a condition that another thread or the kernel brings about.
func eventually(_ condition: () throws -> Bool) throws {
    for _ in 0..<30_000 {
        if try condition() { return }
        _ = ctest_pause(1_000_000)
    }
    try #require(try condition(), "waited in vain")
}
