import CTestSupport
import FaultlineTestKit
import Testing
import Userfault

@Suite("Waiting and waking", .requiresUserfaultfd(anyBacking), .timeLimit(.minutes(5)))
struct WakingCases {
    @Test("28. same-page-n-waiters", .requiresUserfaultfd(.threadID), arguments: Backing.all)
    func samePage(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, features: .threadID)
        var crowd = Crowd()
        for number in 1...8 {
            crowd.add(scene.reader(1))
            try eventually { try scene.served.pending == number }
        }
        var batch = EventBatch()
        #expect(try batch.read(from: scene.served.uffd) == 8)
        // One message for each, whatever the order: a thread that is woken for nothing, as by the late wake of a
        // lock it has had since, stands last in the queue again.
        let told = Set((0..<batch.count).map { batch[$0] })
        let expected = crowd.threadIDs.map { threadID in
            Event.fault(
                Fault(address: scene.area.address(1), kind: .missing, isWrite: false, threadID: threadID))
        }
        #expect(told == Set(expected))
        #expect(try scene.served.waiting == 8)
        #expect(scene.copy(1) == .whole)
        #expect(crowd.join() == Array(repeating: 2, count: 8))
        #expect(try batch.read(from: scene.served.uffd) == 0)
    }

    @Test("29. eexist-needs-wake", arguments: Backing.all)
    func existing(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2)
        var batch = EventBatch(capacity: 1)
        let reader = try scene.parkedReader(1, &batch)
        #expect(scene.copy(1, options: .dontWake) == .whole)
        #expect(scene.copy(1) == .exists)
        #expect(try scene.served.waiting == 1)
        try scene.wake(1)
        #expect(reader.join() == 2)
    }

    @Test("30. alias-fill-needs-wake", arguments: Backing.all.filter { $0 != .anonymous })
    func aliasFill(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, alias: true)
        var batch = EventBatch(capacity: 1)
        let reader = try scene.parkedReader(1, &batch)
        ctest_store(UInt64(scene.area.alias(1)), 50)
        #expect(try scene.served.waiting == 1)
        if backing.isShared { #expect(scene.copy(1) == .exists) }
        #expect(try scene.served.waiting == 1)
        try scene.wake(1)
        #expect(reader.join() == 50)
        #expect(try batch.read(from: scene.served.uffd) == 0)
    }

    @Test("31. partial-copy-resume", arguments: Backing.all)
    func partial(backing: Backing) throws {
        let scene = try Scene(backing, pages: 3)
        var batch = EventBatch(capacity: 1)
        let readers = [0, 1, 2]
        var crowd = Crowd()
        for page in readers { crowd.add(try scene.parkedReader(page, &batch)) }
        #expect(scene.copy(2, options: .dontWake) == .whole)
        #expect(scene.copy(0, 3) == .partial(bytesDone: 2 * backing.pageSize))
        // The waiters of what was done are awake, the other one is not.
        try eventually { crowd.doneCount == 2 }
        #expect(try scene.served.waiting == 1)
        #expect(scene.copy(2) == .exists)
        #expect(try scene.served.waiting == 1)
        try scene.wake(2)
        #expect(crowd.join() == [1, 2, 3])
    }

    @Test("32. faults-before-events", .requiresUserfaultfd(.removeEvents), arguments: Backing.all)
    func order(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, features: .removeEvents)
        let dropper = Worker.advise(scene.area.start, backing.pageSize, Advice.dontNeed)
        try eventually { dropper.sleepsIn == eventWait }
        let reader = scene.reader(1)
        try eventually { try scene.served.pending == 1 }
        var batch = EventBatch()
        #expect(try batch.read(from: scene.served.uffd) == 2)
        let fault = Fault(address: scene.area.address(1), kind: .missing, isWrite: false)
        #expect(batch[0] == .fault(fault))
        #expect(batch[1] == .remove(scene.area.pages(0)))
        #expect(dropper.join() == 0)
        #expect(scene.copy(1) == .whole)
        #expect(reader.join() == 2)
    }

    @Test("33. wake-spurious", arguments: Backing.all)
    func spurious(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2)
        var batch = EventBatch(capacity: 1)
        let reader = try scene.parkedReader(1, &batch)
        for _ in 0..<3 {
            try scene.wake(1)
            #expect(try batch.nextFault(from: scene.served).address == scene.area.address(1))
        }
        // However often it is woken, a thread waits in the queue once.
        for _ in 0..<3 {
            try scene.wake(1)
            try eventually { try scene.served.pending == 1 }
        }
        #expect(try batch.read(from: scene.served.uffd) == 1)
        #expect(try scene.served.waiting == 1)
        #expect(reader.isDone == false)
        #expect(scene.copy(1) == .whole)
        #expect(reader.join() == 2)
    }

    @Test("58. foreign uffd COPY succeeds without waking", arguments: Backing.all)
    func foreign(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2)
        let other = try Userfaultfd()
        var batch = EventBatch(capacity: 1)
        let reader = try scene.parkedReader(1, &batch)
        let page = scene.area.pages(1)
        #expect(other.copy(from: scene.source.start, to: page) == .whole)
        try other.wake(page)
        #expect(try scene.served.waiting == 1)
        try scene.wake(1)
        #expect(reader.join() == 1)
    }
}
