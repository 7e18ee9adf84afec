import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(1)))
struct ChangeOutcomeTests {
    @Test(.requiresUserfaultfd([.move, .poison, .missingSharedMemory]), arguments: moveRows)
    func `move answers as the kernel does`(row: Row) throws {
        try row.check(operation: .move)
    }

    @Test(.requiresUserfaultfd([.writeProtectFaults, .missingSharedMemory]), arguments: protectRows)
    func `writeProtect answers as the kernel does`(row: Row) throws {
        try row.check(operation: .writeProtect)
    }

    @Test(.requiresUserfaultfd(.move))
    func `a moved page leaves a hole behind`() throws {
        let trapped = try Trapped()
        #expect(trapped.move(5, to: 2) == .whole)
        #expect(trapped.memory.peek(2) == 6)
        #expect(trapped.source.peek(5) == 0)
    }

    @Test(.requiresUserfaultfd(.move))
    func `a page shared with a child cannot be moved until it is written`() async {
        await #expect(processExitsWith: .success) {
            let trapped = try Trapped()
            let child = CInt(ctest_fork_and_peek(UInt64(trapped.source.address(of: 5))))
            #expect(ctest_wait(child) == 6)
            #expect(trapped.move(5, to: 2).answer == .failed(.busy))
            trapped.source.poke(5, 60)
            #expect(trapped.move(5, to: 2) == .whole)
            #expect(trapped.memory.peek(2) == 60)
        }
    }

    @Test(.requiresUserfaultfd(.writeProtectFaults))
    func `a write waits until the protection is lifted`() throws {
        let trapped = try Trapped(modes: .writeProtect)
        trapped.memory.poke(1, 5)
        #expect(trapped.descriptor.writeProtect(trapped.memory.whole, options: .protect) == .whole)
        let writer = Deed.poke(trapped.memory.address(of: 1), 6)
        var batch = EventBatch()
        let fault = try batch.nextFault(from: trapped.descriptor)
        #expect(fault.kind == .writeProtect)
        #expect(fault.isWrite)
        #expect(fault.address == trapped.memory.address(of: 1))
        #expect(trapped.memory.peek(1) == 5)
        #expect(trapped.descriptor.writeProtect(trapped.memory.pages(1), options: []) == .whole)
        _ = writer.join()
        #expect(trapped.memory.peek(1) == 6)
    }
}

extension Trapped {
    fileprivate func move(
        _ page: Int, _ count: Int = 1, to target: Int, options: MoveOptions = []
    ) -> Outcome {
        descriptor.move(
            from: source.address(of: page), to: memory.pages(target, count), options: options)
    }
}

private let moveRows: [Row] = [
    Row("one page", .whole) { $0.move(0, to: 0) },
    Row("destination not aligned", .failed(.invalidArgument)) {
        $0.descriptor.move(from: $0.source.start, to: $0.memory.pages(0).shifted)
    },
    Row("source not aligned", .failed(.invalidArgument)) {
        $0.descriptor.move(from: $0.source.start + 1, to: $0.memory.pages(0))
    },
    Row("length 0", .failed(.invalidArgument)) {
        $0.descriptor.move(from: $0.source.start, to: $0.memory.pages(0).emptied)
    },
    Row("unknown option", .failed(.invalidArgument)) {
        $0.move(0, to: 0, options: MoveOptions(rawValue: 4))
    },
    Row("hole in the source", .gone(.range)) {
        #expect($0.move(0, to: 0) == .whole)
        return $0.move(0, to: 1)
    },
    Row("hole in the source, allowed", .whole) {
        #expect($0.move(0, to: 0) == .whole)
        return $0.move(0, to: 1, options: .allowSourceHoles)
    },
    Row("destination is there", .exists) {
        #expect($0.zero(3) == .whole)
        return $0.move(0, to: 3)
    },
    Row("third destination is there", .partial(pages: 2)) {
        #expect($0.zero(3) == .whole)
        return $0.move(0, 4, to: 1)
    },
    Row("third source is a hole", .partial(pages: 2)) {
        #expect($0.move(2, to: 7) == .whole)
        return $0.move(0, 4, to: 0)
    },
    Row("destination not mapped", .gone(.range)) {
        $0.descriptor.move(from: $0.source.start, to: neverMapped)
    },
    Row("source not mapped", .gone(.range)) {
        $0.descriptor.move(from: neverMapped.start, to: $0.memory.pages(0))
    },
    Row("destination not registered", .failed(.invalidArgument)) {
        let other = Memory()
        return $0.descriptor.move(from: $0.source.start, to: other.pages(0))
    },
    Row("destination of another descriptor", .failed(.invalidArgument)) {
        try Userfaultfd().move(from: $0.source.start, to: $0.memory.pages(0))
    },
    Row("over the end of the mapping", .failed(.invalidArgument)) { $0.move(0, 2, to: 7) },
    Row("protections differ", .failed(.invalidArgument)) {
        $0.source.protect($0.source.whole, PROT_READ)
        return $0.move(0, to: 0)
    },
    Row("source is shared memory", .failed(.invalidArgument)) {
        let shared = Memory(.shared)
        shared.poke(0, 1)
        return $0.descriptor.move(from: shared.start, to: $0.memory.pages(0))
    },
    Row("source is a private mapping of a file", .failed(.invalidArgument)) {
        let file = Memory(.privateFile)
        file.poke(0, 1)
        return $0.descriptor.move(from: file.start, to: $0.memory.pages(0))
    },
    Row("destination is shared memory, though advertised", on: .shared, .failed(.invalidArgument)) {
        #expect($0.operations.contains(.move))
        #expect(!$0.operations.usable(on: .sharedMemory).contains(.move))
        return $0.move(0, to: 0)
    },
    Row("source is locked in memory", .failed(.invalidArgument)) {
        #expect(ctest_mlock(UInt64($0.source.start), UInt64($0.source.byteCount)) == 0)
        return $0.move(0, to: 0)
    },
    Row("source is the zero page", .whole) {
        let fresh = Memory()
        #expect(fresh.peek(0) == 0)
        return $0.descriptor.move(from: fresh.start, to: $0.memory.pages(0))
    },
    Row("source is poisoned", .failed(.badAddress)) {
        #expect($0.descriptor.poison($0.memory.pages(0)) == .whole)
        return $0.descriptor.move(from: $0.memory.start, to: $0.memory.pages(1))
    },
    Row("destination is poisoned", .exists) {
        #expect($0.descriptor.poison($0.memory.pages(0)) == .whole)
        return $0.move(0, to: 0)
    },
    Row("within the registered range", .whole) {
        #expect($0.copy(0) == .whole)
        return $0.descriptor.move(from: $0.memory.address(of: 0), to: $0.memory.pages(1))
    },
]

private let protectRows: [Row] = [
    Row("not registered", .gone(.range)) {
        $0.descriptor.writeProtect($0.source.pages(0), options: .protect)
    },
    Row("registered for missing pages only", .gone(.range)) {
        $0.descriptor.writeProtect($0.memory.pages(0), options: .protect)
    },
    Row("not mapped", modes: .writeProtect, .gone(.range)) {
        $0.descriptor.writeProtect(neverMapped, options: .protect)
    },
    Row("over the end of the registered mapping", modes: .writeProtect, .gone(.range)) {
        $0.descriptor.writeProtect($0.memory.pages(6, 3), options: .protect)
    },
    Row("start not aligned", modes: .writeProtect, .failed(.invalidArgument)) {
        $0.descriptor.writeProtect($0.memory.pages(0).shifted, options: .protect)
    },
    Row("length 0", modes: .writeProtect, .failed(.invalidArgument)) {
        $0.descriptor.writeProtect($0.memory.pages(0).emptied, options: .protect)
    },
    Row("unknown option", modes: .writeProtect, .failed(.invalidArgument)) {
        $0.descriptor.writeProtect($0.memory.pages(0), options: WriteProtectOptions(rawValue: 4))
    },
    Row("protect and dontWake", modes: .writeProtect, .failed(.invalidArgument)) {
        $0.descriptor.writeProtect($0.memory.pages(0), options: [.protect, .dontWake])
    },
    Row("protect twice", modes: .writeProtect, .whole) {
        #expect($0.descriptor.writeProtect($0.memory.whole, options: .protect) == .whole)
        return $0.descriptor.writeProtect($0.memory.whole, options: .protect)
    },
    Row("lift twice, without waking", modes: .writeProtect, .whole) {
        #expect($0.descriptor.writeProtect($0.memory.whole, options: .dontWake) == .whole)
        return $0.descriptor.writeProtect($0.memory.whole, options: .dontWake)
    },
]
