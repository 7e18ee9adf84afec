import FaultlineRemote
import FaultlineTestKit
import Testing

/// The order of requests, against a model that says what must hold and not how.
@Suite(.timeLimit(.minutes(5)))
struct QueueModelTests {
    typealias Queue = RequestQueue<String>
    let seed = TestSeed()

    private func queue(requests: Int = 8, bytes: Int = 800, bulk: Int = 400) -> Queue {
        Queue(window: Queue.Window(requests: requests, byteCount: bytes, bulkByteCount: bulk))
    }

    @Test func `urgent requests go before bulk ones, each in its order`() {
        var queue = queue()
        let first = queue.add(.read, 0..<10, isUrgent: false, call: 1, "bulk 1")
        let second = queue.add(.read, 10..<20, isUrgent: false, call: 2, "bulk 2")
        let third = queue.add(.read, 20..<30, isUrgent: true, call: 3, "urgent 1")
        let fourth = queue.add(.read, 30..<40, isUrgent: true, call: 4, "urgent 2")
        let order = (0..<4).map { _ in queue.next()?.number }
        #expect(order == [third, fourth, first, second])
        #expect(queue.next() == nil)
    }

    @Test func `the window holds, and keeps room for urgent requests`() {
        var queue = queue(requests: 8, bytes: 800, bulk: 200)
        for index in 0..<20 {
            queue.add(.read, index * 100..<index * 100 + 100, isUrgent: false, call: 1, "")
        }
        var sent = 0
        while queue.next() != nil { sent += 1 }
        #expect(sent == 2, "200 bytes of bulk")
        for index in 0..<20 { queue.add(.read, index * 100..<index * 100 + 100, isUrgent: true, call: 2, "") }
        while queue.next() != nil { sent += 1 }
        #expect(sent == 8, "eight requests, or 800 bytes")
        #expect(queue.sentByteCount == 800)
    }

    @Test func `bulk requests are not starved`() {
        var queue = queue(requests: 1, bytes: 1000)
        queue.add(.read, 0..<10, isUrgent: false, call: 1, "bulk")
        var before = 0
        while before < 1000 {
            queue.add(.read, 0..<10, isUrgent: true, call: 2, "urgent")
            guard let next = queue.next() else { break }
            _ = queue.complete(next.number)
            if !next.isUrgent { break }
            before += 1
        }
        #expect(before == Queue.urgentInRow)
    }

    @Test func `a request larger than the window goes alone`() {
        var queue = queue(bytes: 100, bulk: 50)
        let large = queue.add(.write, 0..<500, isUrgent: false, call: 1, "")
        let small = queue.add(.read, 0..<10, isUrgent: false, call: 2, "")
        #expect(queue.next()?.number == large)
        #expect(queue.next() == nil)
        _ = queue.complete(large)
        #expect(queue.next()?.number == small)
    }

    @Test func `writes of the same bytes do not overtake each other`() {
        var queue = queue()
        let first = queue.add(.write, 0..<100, isUrgent: false, call: 1, "old")
        let second = queue.add(.trim, 50..<60, isUrgent: false, call: 2, "")
        let third = queue.add(.write, 200..<300, isUrgent: false, call: 3, "elsewhere")
        #expect(queue.next()?.number == first)
        #expect(queue.next() == nil, "what comes behind keeps its order too")
        // Nobody waits for the first any more; it may be done all the same.
        queue.cancel(call: 1)
        #expect(queue.next() == nil)
        #expect(queue.complete(first)?.payload == "old")
        #expect(queue.next()?.number == second)
        #expect(queue.next()?.number == third)
    }

    @Test func `writes wait for room, and say so`() {
        var queue = queue()
        queue.writeRoom = 150
        let first = queue.add(.write, 0..<100, isUrgent: false, call: 1, "")
        let second = queue.add(.write, 100..<200, isUrgent: false, call: 1, "")
        #expect(queue.next()?.number == first)
        #expect(queue.waitsForWriteRoom && queue.next() == nil)
        _ = queue.complete(first)
        queue.writeRoom = 50
        #expect(queue.waitsForWriteRoom && queue.next() == nil)
        queue.writeRoom = 150
        #expect(!queue.waitsForWriteRoom)
        #expect(queue.next()?.number == second)
    }

    @Test func `answers to what nobody asked are noticed`() {
        var queue = queue()
        let number = queue.add(.read, 0..<10, isUrgent: true, call: 1, "")
        #expect(queue.complete(number) == nil, "it has not been sent")
        _ = queue.next()
        #expect(queue.complete(number + 1) == nil)
        #expect(queue.complete(number) != nil)
        #expect(queue.complete(number) == nil, "once")
        #expect(queue.isEmpty && queue.sentByteCount == 0)
    }

    /// Random use, with connections that break. What must hold: everything is completed or cancelled in the end; nothing is
    /// under way twice; the window holds; overlapping writes are completed in the order of their numbers.
    @Test func `nothing is lost, doubled or overtaken, whatever happens`() {
        for round in 0..<200 {
            var random = TestRandom(seed, stream: UInt64(round))
            var queue = queue(
                requests: 1 + random.below(10), bytes: 50 + random.below(500), bulk: 20 + random.below(300))
            var open: [UInt64: Request<String>.Kind] = [:]
            var calls: [UInt64: UInt64] = [:]
            var mutations: [(number: UInt64, range: Range<Int>)] = []
            var sent: [Request<String>] = []
            var call: UInt64 = 0

            func sendAll() {
                while let request = queue.next() {
                    #expect(open[request.number] != nil, "\(seed), round \(round)")
                    #expect(!sent.contains { $0.number == request.number })
                    if request.isMutation {
                        #expect(!sent.contains { $0.isMutation && $0.range.overlaps(request.range) })
                        let earlier = mutations.first { $0.range.overlaps(request.range) }
                        #expect(earlier?.number == request.number, "in order; \(seed), round \(round)")
                    }
                    sent.append(request)
                }
                let bytes = sent.reduce(0) { $0 + $1.byteCount }
                #expect(bytes == queue.sentByteCount)
                #expect(sent.count <= queue.window.requests)
                #expect(bytes <= queue.window.byteCount || sent.count(where: { $0.byteCount > 0 }) == 1)
            }
            func completeOne() {
                guard !sent.isEmpty else { return }
                let request = sent.remove(at: random.below(sent.count))
                #expect(queue.complete(request.number)?.number == request.number)
                open[request.number] = nil
                mutations.removeAll { $0.number == request.number }
            }
            for _ in 0..<200 {
                switch random.below(20) {
                case 0..<9:
                    if random.chance(60) { call += 1 }
                    let kinds: [Request<String>.Kind] = [.read, .read, .write, .trim, .flush]
                    let kind = kinds[random.below(kinds.count)]
                    let start = random.below(300)
                    let range = kind == .flush ? 0..<0 : start..<start + 1 + random.below(60)
                    let isMutation = kind == .write || kind == .trim
                    let number = queue.add(
                        kind, range, isUrgent: !isMutation && random.chance(50), call: call, "\(call)")
                    open[number] = kind
                    calls[number] = call
                    if isMutation { mutations.append((number, range)) }
                case 9..<14: completeOne()
                case 14:
                    let cancelled = UInt64(1 + random.below(Int(call) + 1))
                    queue.cancel(call: cancelled)
                    for (number, owner) in calls
                    where owner == cancelled && !sent.contains(where: { $0.number == number }) {
                        open[number] = nil
                        mutations.removeAll { $0.number == number }
                    }
                    sent = sent.map { request in
                        var request = request
                        if request.call == cancelled, !request.isMutation { request.payload = nil }
                        return request
                    }
                case 15:
                    for request in sent where request.payload == nil { open[request.number] = nil }
                    sent = []
                    queue.disconnect()
                    #expect(queue.sentByteCount == 0 && queue.sentCount == 0)
                default: sendAll()
                }
            }
            while !queue.isEmpty {
                sendAll()
                #expect(!sent.isEmpty, "somebody is stuck; \(seed), round \(round)")
                if sent.isEmpty { return }
                completeOne()
            }
            #expect(open.isEmpty, "\(seed), round \(round)")
        }
    }

    /// Whatever was acknowledged and not flushed, doing it again in order makes the same bytes.
    @Test func `a log of writes makes the same bytes again`() {
        var random = TestRandom(seed)
        for round in 0..<100 {
            var log = WriteLog<UInt8>()
            var durable = [UInt8](repeating: 0, count: 64)
            var store = durable
            var marks: [(UInt64, [UInt8])] = []
            var forgotten: UInt64 = 0
            for step in 0..<60 {
                switch random.below(6) {
                case 0: marks.append((log.nextNumber, store))
                case 1 where !marks.isEmpty:
                    let (mark, bytes) = marks.remove(at: random.below(marks.count))
                    guard mark >= forgotten else { continue }
                    log.forget(before: mark)
                    forgotten = mark
                    durable = bytes
                default:
                    let start = random.below(60)
                    let range = start..<start + 1 + random.below(4)
                    let value: UInt8? = random.chance(20) ? nil : UInt8(step + 1)
                    log.append(range, value)
                    for index in range { store[index] = value ?? 0 }
                }
                #expect(
                    log.byteCount == log.entries.reduce(0) { $0 + ($1.payload == nil ? 0 : $1.range.count) })
                var again = durable
                for entry in log.entries {
                    for index in entry.range { again[index] = entry.payload ?? 0 }
                }
                #expect(again == store, "round \(round); \(seed)")
            }
            log.forget(before: log.nextNumber)
            #expect(log.isEmpty && log.byteCount == 0 && log.memoryByteCount == 0)
        }
    }
}
