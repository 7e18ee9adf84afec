import Glibc
import Testing
import Userfault

@Suite(.timeLimit(.minutes(5)))
struct DecodingTests {
    let range = AddressRange(start: 0x10000, byteCount: 0x4000)

    // errno, the signed output field, and what the two mean.
    @Test(
        arguments: [
            (0, 0x4000, .whole), (0, 0, .whole),
            (EAGAIN, 0x2000, .partial(bytesDone: 0x2000)),
            (EAGAIN, -Int64(EAGAIN), .again), (EAGAIN, 0, .again),
            (EEXIST, -Int64(EEXIST), .exists), (EEXIST, 0, .exists),
            (ENOENT, -Int64(ENOENT), .gone(.range)), (ENOENT, 0, .gone(.range)),
            (ESRCH, 0, .gone(.process)),
        ] as [(CInt, Int64, Outcome)])
    func `errno and field together give the outcome`(error: CInt, done: Int64, expected: Outcome) {
        #expect(Outcome(operation: .copy, range: range, error: error, done: done) == expected)
    }

    @Test(arguments: [EINVAL, EFAULT, ENOMEM, EBUSY, EIO, EINTR, ENOSPC, EBADF, ENOTTY, 12345])
    func `all else is a failure, whatever the field`(error: CInt) {
        for done in [0, -Int64(error)] {
            let outcome = Outcome(operation: .move, range: range, error: error, done: done)
            let expected = UserfaultfdError(
                operation: .move, errno: Errno(rawValue: error), range: range)
            #expect(outcome == .failed(expected))
        }
        let late = Outcome(operation: .move, range: range, error: error, done: 0x1000)
        guard case .failed(let failure) = late else {
            Issue.record("\(late)")
            return
        }
        #expect(failure.bytesDone == 0x1000)
        #expect(failure.description.contains("after 4096 bytes"))
    }

    @Test func `outcomes print`() {
        #expect("\(Outcome.partial(bytesDone: 8192))" == "partial (8192 bytes done)")
        #expect("\(Outcome.gone(.process))" == "gone (process)")
        let error = UserfaultfdError(operation: .move, errno: .busy, range: range)
        #expect("\(Outcome.failed(error))".hasPrefix("failed: Moving (UFFDIO_MOVE) of 0x10000..<0x14000"))
    }

    // An error owns nothing, so that throwing one allocates nothing. An outcome is returned by each call for a fault.
    @Test func `errors are plain bits, and outcomes fit into registers`() {
        func isPlain<T>(_ type: T.Type) -> Bool { _isPOD(type) }
        #expect(isPlain(UserfaultfdError.self))
        #expect(isPlain(Event.self))
        #expect(MemoryLayout<UserfaultfdError>.size <= 80)
        #expect(MemoryLayout<Outcome>.size <= 16)
    }

    @Test func `messages are decoded`() {
        var batch = EventBatch(capacity: 8)
        batch.load([
            message(0x12, 0x1_0000_0003, 0x7f00_0000_0000, 4711),
            message(0x12, 0, 0x7f00_0000_1000, 0),
            message(0x12, 5, 0x7f00_0000_2000, 0),
            message(0x14, 0x1000, 0x9000, 0x3000),
            message(0x15, 0x1000, 0x4000, 0),
            message(0x16, 0x1000, 0x2000, 0),
            message(0x17, 1, 2, 3),
        ])
        #expect(batch.count == 7)
        let write = Fault(
            address: 0x7f00_0000_0000, flags: Fault.Flags(rawValue: 0x1_0000_0003), threadID: 4711)
        #expect(batch[0] == .fault(write))
        #expect(write.kind == .writeProtect)
        #expect(write.flags.description == "[write, writeProtect, 0x100000000]")
        #expect(batch[1] == .fault(Fault(address: 0x7f00_0000_1000, kind: .missing, isWrite: false)))
        #expect(batch[2] == .fault(Fault(address: 0x7f00_0000_2000, kind: .minor, isWrite: true)))
        #expect(batch[3] == .remap(from: 0x1000, to: 0x9000, byteCount: 0x3000))
        #expect(batch[4] == .remove(AddressRange(start: 0x1000, byteCount: 0x3000)))
        #expect(batch[5] == .unmap(AddressRange(start: 0x1000, byteCount: 0x1000)))
        #expect(batch[6] == .unknown(code: 0x17))
        #expect("\(batch[0])" == "fault: writeProtect write at 0x7f0000000000 by thread 4711")
        #expect("\(batch[3])" == "remap: 0x1000..<0x4000 to 0x9000")
        #expect("\(batch[6])" == "unknown event 0x17")
        if batch.takeFork(at: 0) != nil { Issue.record("a fault was taken for a fork") }
    }

    @Test func `messages beyond the count cannot be had`() async {
        await #expect(processExitsWith: .failure) {
            let batch = EventBatch()
            _ = batch[0]
        }
        await #expect(processExitsWith: .failure) { _ = EventBatch(capacity: 0) }
    }

    private func message(_ code: UInt8, _ a: UInt64, _ b: UInt64, _ c: UInt64) -> [UInt8] {
        var bytes = [code, 0, 0, 0, 0, 0, 0, 0]
        for word in [a, b, c] {
            for shift in stride(from: 0, to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        return bytes
    }
}
