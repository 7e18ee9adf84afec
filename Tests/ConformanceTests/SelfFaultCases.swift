import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// A handler that does what a handler must not, and how somebody else finds out.
@Suite(
    "Handlers that wait for themselves", .requiresUserfaultfd(anyBacking.union(.threadID)),
    .timeLimit(.minutes(5)))
struct SelfFaultCases {
    @Test("54. self-fault detected by THREAD_ID", arguments: Backing.all)
    func byThread(backing: Backing) async throws {
        let scene = try Scene(backing, pages: 4, features: .threadID)
        let reader = scene.reader(1)
        let handler = FaultingThread { serve(scene) { _ = ctest_peek(UInt64(scene.area.address(3))) } }
        // A second reader of the same descriptor finds the handler's own message.
        try eventually { handler.isParked }
        var batch = EventBatch(capacity: 1)
        let fault = try batch.nextFault(from: scene.served)
        #expect(fault.threadID == UInt32(handler.threadID))
        #expect(fault.address == scene.area.address(3))
        #expect(reader.isDone == false)
        #expect(scene.copy(3) == .whole)
        #expect(await handler.value == .whole)
        #expect(reader.join() == 2)
    }

    // Without reading: there are messages, and who should read them sleeps for a fault.
    @Test("54. self-fault detected by a watchdog", arguments: Backing.all)
    func byWatchdog(backing: Backing) async throws {
        let scene = try Scene(backing, pages: 4, features: .threadID)
        let reader = scene.reader(1)
        let handler = FaultingThread { serve(scene) { _ = ctest_peek(UInt64(scene.area.address(3))) } }
        try eventually { try isStuck(handler, scene) }
        #expect(reader.isDone == false)
        try scene.rescue()
        #expect(await handler.value == .whole)
        #expect(reader.join() == 2)
        #expect(try !isStuck(handler, scene))
    }

    @Test("54. self-fault by a source that is not there", .requiresKernelFaults, arguments: Backing.all)
    func bySource(backing: Backing) async throws {
        let scene = try Scene(backing, pages: 4, features: .threadID)
        let reader = scene.reader(1)
        let handler = FaultingThread {
            serve(scene) {
                // Whoever checks its sources does not call this.
                let outcome = scene.served.uffd.copy(
                    from: scene.area.address(3), to: scene.area.pages(2))
                if outcome != .whole { Issue.record("\(outcome)") }
            }
        }
        try eventually { try isStuck(handler, scene) }
        try scene.rescue()
        #expect(await handler.value == .whole)
        #expect(reader.join() == 2)
        #expect(scene.area.word(2) == 4)
    }

    @Test("54. self-event", .requiresUserfaultfd(.removeEvents), arguments: Backing.all)
    func byEvent(backing: Backing) async throws {
        let scene = try Scene(backing, pages: 4, features: [.threadID, .removeEvents])
        let reader = scene.reader(1)
        let handler = FaultingThread {
            serve(scene) { _ = scene.area.advise(scene.area.pages(3), Advice.dontNeed) }
        }
        // An event is no pending fault, but the descriptor is readable.
        try eventually { sleepsIn(handler) == eventWait }
        #expect(try scene.served.pending == 0)
        #expect(ctest_poll_now(scene.served.uffd.fileDescriptor) == POLLIN)
        var batch = EventBatch(capacity: 1)
        #expect(try batch.next(from: scene.served) == .remove(scene.area.pages(3)))
        #expect(await handler.value == .whole)
        #expect(reader.join() == 2)
    }
}

/// Reads one fault, makes the mistake, and answers.
private func serve(_ scene: Scene, mistake: () -> Void) -> Outcome {
    var batch = EventBatch(capacity: 1)
    guard let fault = try? batch.nextFault(from: scene.served) else { return .again }
    mistake()
    return scene.copy(scene.area.index(of: fault.address))
}

private func sleepsIn(_ thread: FaultingThread<Outcome>) -> String {
    readText("/proc/self/task/\(thread.threadID)/wchan") ?? ""
}

/// Whether messages are waiting for a thread that itself waits for a fault or for an event of its own.
private func isStuck(_ handler: FaultingThread<Outcome>, _ scene: Scene) throws -> Bool {
    guard ["handle_userfault", eventWait].contains(sleepsIn(handler)) else { return false }
    return try scene.served.pending > 0
}

extension Scene {
    /// Answers a fault in place of the handler.
    fileprivate func rescue() throws {
        var batch = EventBatch(capacity: 1)
        let fault = try batch.nextFault(from: served)
        #expect(copy(area.index(of: fault.address)) == .whole)
    }
}
