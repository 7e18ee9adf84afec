import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// The thread that reads messages, on a pipe in place of a userfaultfd: what it reads are 32 bytes at a time here as there.
@Suite(.timeLimit(.minutes(5)))
struct RelayTests {
    /// EPOLLIN | EPOLLET
    private static let readableEdges: UInt32 = 1 | 1 << 31

    /// A pipe of messages with a relay at its end.
    @safe
    private final class Line {
        let relay: MessageRelay
        private let readEnd: CInt
        private var writeEnd: CInt

        init(messagesPerChunk: Int) throws {
            var ends: [CInt] = [0, 0]
            precondition(unsafe ctest_pipe(&ends) == 0)
            for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
            (readEnd, writeEnd) = (ends[0], ends[1])
            relay = try MessageRelay(reading: ends[0], messagesPerChunk: messagesPerChunk)
        }

        deinit {
            relay.stop()
            close(readEnd)
            hangUp()
        }

        func hangUp() {
            if writeEnd >= 0 { close(writeEnd) }
            writeEnd = -1
        }

        /// Sends messages with the given numbers, as faults or as events. Waits when the pipe is full.
        func send(_ numbers: Range<Int>, code: UInt8 = 0x12) {
            var bytes: [UInt8] = []
            for number in numbers {
                var message = [UInt8](repeating: 0, count: 32)
                message[0] = code
                // Where a fault has its address, and where a removal has its end.
                for byte in 0..<8 { message[16 + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte)) }
                bytes += message
            }
            var start = 0
            while start < bytes.count {
                let slice = Array(bytes[start..<min(start + 2048, bytes.count)])
                let done = unsafe write(writeEnd, slice, slice.count)
                if done > 0 { start += done } else { usleep(50) }
            }
        }
    }

    /// Takes messages until there are none, and returns the numbers of the faults.
    private func take(_ line: Line, _ reader: EventReader, capacity: Int) throws -> [Int] {
        var numbers: [Int] = []
        while true {
            let count = try reader.take(from: line.relay)
            for index in 0..<count {
                if case .fault(let fault) = reader[index] { numbers.append(Int(fault.address)) }
            }
            if count < capacity { return numbers }
        }
    }

    @Test(arguments: [(1, 1), (3, 64), (64, 5), (1023, 64)])
    func `messages come out as they went in, and memory is given back`(
        messagesPerChunk: Int, capacity: Int
    ) throws {
        let line = try Line(messagesPerChunk: messagesPerChunk)
        let reader = EventReader(capacity: capacity)
        var random = TestRandom(TestSeed())
        var sent = 0
        var taken: [Int] = []
        while sent < 3000 {
            let count = 1 + random.below(200)
            line.send(sent..<sent + count)
            sent += count
            if random.chance(50) { taken += try take(line, reader, capacity: capacity) }
        }
        while taken.count < sent {
            #expect(ctest_wait_readable(line.relay.fileDescriptor, 20_000) == 1)
            taken += try take(line, reader, capacity: capacity)
        }
        #expect(taken == Array(0..<sent))
        #expect(
            line.relay.chunkCount <= 3, "the one read from, the one written to, and the one kept for later")
    }

    @Test func `it reads on when nobody takes anything`() throws {
        let line = try Line(messagesPerChunk: 16)
        // More than the pipe holds: this returns because it is read.
        line.send(0..<20_000)
        let reader = EventReader(capacity: 64)
        var taken: [Int] = []
        while taken.count < 20_000 {
            _ = ctest_wait_readable(line.relay.fileDescriptor, 20_000)
            taken += try take(line, reader, capacity: 64)
        }
        #expect(taken == Array(0..<20_000))
    }

    @Test func `an edge follows every message that was not there when it was looked for`() throws {
        let line = try Line(messagesPerChunk: 7)
        let epoll = ctest_epoll(line.relay.fileDescriptor, Self.readableEdges)
        defer { _ = ctest_close(epoll) }
        let total = 20_000
        let seed = TestSeed()
        let sender = FaultingThread { [line = Sending(line)] in
            var random = TestRandom(seed)
            var sent = 0
            while sent < total {
                let count = min(1 + random.below(3), total - sent)
                line.line.send(sent..<sent + count)
                sent += count
                if random.chance(10) { usleep(UInt32(random.below(60))) }
            }
            return sent
        }
        let reader = EventReader(capacity: 4)
        var next = 0
        while next < total {
            // With a wake-up lost, nothing comes any more.
            try #require(ctest_epoll_wait(epoll, 20_000) == 1, "\(next) of \(total), \(seed)")
            for number in try take(line, reader, capacity: 4) {
                try #require(number == next, "\(seed)")
                next += 1
            }
        }
        while !sender.isFinished { usleep(100) }
    }

    @Test func `nothing is filled while an event was read and not taken`() throws {
        let line = try Line(messagesPerChunk: 8)
        let reader = EventReader(capacity: 4)
        line.send(0..<3)
        #expect(ctest_wait_readable(line.relay.fileDescriptor, 20_000) == 1)
        #expect(line.relay.beginFill(), "faults do not matter")
        line.send(3..<4, code: 0x15)
        usleep(2000)
        // It waits for the end of the fill before it reads the event.
        #expect(try take(line, reader, capacity: 4).count == 3)
        #expect(try reader.take(from: line.relay) == 0)
        line.relay.endFill()
        #expect(ctest_wait_readable(line.relay.fileDescriptor, 20_000) == 1)
        #expect(!line.relay.beginFill())
        #expect(try reader.take(from: line.relay) == 1)
        #expect(reader[0] == .remove(AddressRange(start: 0, byteCount: 3)))
        while !line.relay.beginFill() {}
        line.relay.endFill()
    }

    @Test func `a fill that does not end delays a read, and does not prevent it`() throws {
        let line = try Line(messagesPerChunk: 8)
        while !line.relay.beginFill() {}
        line.send(0..<1, code: 0x15)
        #expect(ctest_wait_readable(line.relay.fileDescriptor, 20_000) == 1)
        line.relay.endFill()
    }

    @Test func `trouble is told once, and what was read before can be had`() throws {
        let line = try Line(messagesPerChunk: 8)
        let reader = EventReader(capacity: 4)
        line.send(0..<2)
        #expect(ctest_wait_readable(line.relay.fileDescriptor, 20_000) == 1)
        line.hangUp()
        var errors: [Errno] = []
        var count = 0
        while errors.isEmpty || count < 2 {
            _ = ctest_wait_readable(line.relay.fileDescriptor, 20_000)
            do throws(UserfaultfdError) {
                count += try reader.take(from: line.relay)
            } catch {
                errors.append(error.errno)
                #expect(error.operation == .read)
            }
        }
        #expect(errors == [Errno(rawValue: EPIPE)])
        #expect(try reader.take(from: line.relay) == 0)
        line.relay.stop()
        line.relay.stop()
    }

    @Test func `without descriptors there is none, and nothing is left behind`() async {
        await #expect(processExitsWith: .success) {
            var error: UserfaultfdError?
            await DescriptorHog.withFullTable {
                do throws(UserfaultfdError) {
                    _ = try MessageRelay(reading: 0)
                } catch let refusal {
                    error = refusal
                }
            }
            #expect(error?.errno == .tooManyFiles)
            #expect(error?.operation == .relay)
            #expect(error?.description.contains("ulimit -n") == true)
        }
    }

    /// The sender's thread and the test use different ends of it.
    private struct Sending: @unchecked Sendable {
        let line: Line
        init(_ line: Line) { self.line = line }
    }
}
