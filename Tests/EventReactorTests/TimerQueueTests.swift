import EventReactor
import Testing

@Suite("Timer queue", .timeLimit(.minutes(5)))
struct TimerQueueTests {
    private final class Nothing: TimerHandler {
        func timerFired(_ id: TimerID) {}
    }

    /// What the queue is compared with.
    private struct Model {
        var timers: [(deadline: Int64, order: Int, id: TimerID)] = []
        var order = 0

        mutating func popFirst(until now: Int64) -> TimerID? {
            guard
                let index = timers.indices.min(by: {
                    (timers[$0].deadline, timers[$0].order) < (timers[$1].deadline, timers[$1].order)
                }), timers[index].deadline <= now
            else { return nil }
            return timers.remove(at: index).id
        }
    }

    @Test("Random starts, cancels and expiries agree with a sorted list")
    func random() {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = Generator(state: seed)
        var queue = TimerQueue()
        var model = Model()
        var spent: [TimerID] = []
        let handler = Nothing()
        for step in 0..<4000 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<5:
                let deadline = Int64.random(in: 0..<1000, using: &generator)
                let id = queue.insert(deadline: deadline, handler)
                model.timers.append((deadline, model.order, id))
                model.order += 1
            case 5..<7:
                guard let index = model.timers.indices.randomElement(using: &generator) else { continue }
                let id = model.timers.remove(at: index).id
                #expect(queue.remove(id) != nil, "seed \(seed), step \(step)")
                spent.append(id)
            case 7:
                guard let id = spent.randomElement(using: &generator) else { continue }
                #expect(queue.remove(id) == nil, "seed \(seed), step \(step)")
            default:
                let now = Int64.random(in: 0..<1000, using: &generator)
                let popped = queue.popFirst(until: now)?.id
                #expect(popped == model.popFirst(until: now), "seed \(seed), step \(step)")
                if let popped { spent.append(popped) }
            }
            #expect(queue.count == model.timers.count, "seed \(seed), step \(step)")
            #expect(queue.earliest == model.timers.map(\.deadline).min(), "seed \(seed), step \(step)")
        }
    }

    @Test("Equal deadlines fire in the order they were started")
    func ties() {
        var queue = TimerQueue()
        let handler = Nothing()
        let ids = (0..<100).map { _ in queue.insert(deadline: 7, handler) }
        var fired: [TimerID] = []
        while let (id, _) = queue.popFirst(until: 7) { fired.append(id) }
        #expect(fired == ids)
    }

    @Test("The name of no timer names no timer")
    func none() {
        var queue = TimerQueue()
        #expect(queue.remove(.none) == nil)
        #expect(queue.popFirst(until: .max) == nil)
    }
}
