import EventReactor
import Testing

@Suite("Misuse traps", .timeLimit(.minutes(5)))
struct MisuseTests {
    @Test("A loop-bound value can be opened on the loop")
    func loopBound() async throws {
        let reactor = try Reactor.start()
        let box = await reactor.run { LoopBound([1, 2, 3], on: reactor) }
        #expect(await reactor.run { box.value.count } == 3)
        await reactor.shutdown()
    }

    @Test("Opening a loop-bound value elsewhere traps")
    func loopBoundElsewhere() async {
        await #expect(processExitsWith: .failure) {
            let reactor = try Reactor.start()
            let box = await reactor.run { LoopBound(1, on: reactor) }
            _ = box.value
        }
    }

    @Test("Making a loop-bound value elsewhere traps")
    func loopBoundMadeElsewhere() async {
        await #expect(processExitsWith: .failure) {
            let reactor = try Reactor.start()
            _ = LoopBound(1, on: reactor)
        }
    }

    @Test("Starting a timer off the loop traps")
    func timer() async {
        await #expect(processExitsWith: .failure) {
            let reactor = try Reactor.start()
            _ = reactor.startTimer(after: .zero, OnTimer { _ in })
        }
    }

    @Test("Scheduling end-of-turn work off the loop traps")
    func endOfTurn() async {
        await #expect(processExitsWith: .failure) {
            let reactor = try Reactor.start()
            reactor.scheduleEndOfTurn(AtEndOfTurn {})
        }
    }

    @Test("Asserting isolation off the loop traps")
    func isolation() async {
        await #expect(processExitsWith: .failure) {
            let reactor = try Reactor.start()
            reactor.preconditionIsolated()
        }
    }
}
