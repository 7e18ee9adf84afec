import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite(
    "Pages that are dropped", .requiresUserfaultfd(anyBacking.union(.removeEvents)), .timeLimit(.minutes(5)))
struct RemoveCases {
    @Test("45. remove-blocks-until-read", arguments: Backing.all)
    func blocks(backing: Backing) throws {
        let scene = try Scene(backing, pages: 3, features: .removeEvents)
        #expect(scene.copy(0, 3) == .whole)
        let dropper = Worker.advise(scene.area.address(1), backing.pageSize, Advice.dontNeed)
        try eventually { dropper.sleepsIn == eventWait }
        #expect(dropper.state == "D")
        // The message comes before the pages go.
        #expect(scene.area.page(1, is: 2))
        #expect(try scene.served.waiting == 0, "events are not counted")
        #expect(scene.copy(2) == .again)
        try scene.wake(0, 3)
        #expect(dropper.isDone == false)
        var batch = EventBatch(capacity: 1)
        #expect(try batch.next(from: scene.served) == .remove(scene.area.pages(1)))
        #expect(dropper.join() == 0)
        #expect(scene.copy(2) == .exists)
        // The file of shared memory keeps what its mapping drops.
        if backing.isShared {
            #expect(scene.area.page(1, is: 2))
        } else {
            let reader = try scene.parkedReader(1, &batch)
            #expect(scene.zeroed(1) == .whole)
            #expect(reader.join() == 0)
        }
    }

    // Nothing announces the end of the window: whoever fills tries again after a while.
    @Test("45. eagain-window-after-read", arguments: Backing.all)
    func window(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, features: .removeEvents)
        var batch = EventBatch(capacity: 1)
        for _ in 0..<50 {
            let dropper = Worker.advise(scene.area.start, backing.pageSize, Advice.dontNeed)
            _ = try batch.next(from: scene.served)
            let outcome = try scene.served.uffd.untilNotAgain { _ in scene.copy(1) }
            #expect(outcome == .whole)
            #expect(dropper.join() == 0)
            let second = Worker.advise(scene.area.address(1), backing.pageSize, Advice.dontNeed)
            _ = try batch.next(from: scene.served)
            #expect(second.join() == 0)
            // The file of shared memory keeps its pages.
            if backing.isShared {
                #expect(ctest_punch_hole(scene.area.file, 0, UInt64(scene.area.whole.byteCount)) == 0)
            }
        }
    }

    @Test("46. what removes, tells", arguments: Backing.all)
    func advice(backing: Backing) throws {
        let scene = try Scene(backing, pages: 4, features: .removeEvents)
        var batch = EventBatch(capacity: 1)
        var telling = [Advice.dontNeed, Advice.dontNeedLocked]
        if backing == .anonymous { telling.append(Advice.free) }
        if backing.isShared { telling.append(Advice.remove) }
        // Populated or not, once for each mapping that is registered, and no further than it reaches.
        #expect(scene.area.advise(scene.area.pages(2), Advice.dontFork) == 0)
        for advice in telling {
            let worker = Worker.advise(scene.area.address(1), 3 * backing.pageSize, advice)
            for page in 1...3 {
                let told = try batch.next(from: scene.served)
                #expect(told == .remove(scene.area.pages(page)), "advice \(advice)")
            }
            #expect(worker.join() == 0, "advice \(advice)")
        }
    }

    // A region whose pages go this way is not told.
    @Test("46. what is silent", arguments: Backing.all)
    func silence(backing: Backing) throws {
        let scene = try Scene(backing, pages: 4, features: .removeEvents)
        #expect(scene.copy(0, 4) == .whole)
        var silent: [CInt] = backing.isHuge ? [] : [Advice.cold, Advice.pageOut]
        if backing == .anonymous, isLinux(6, 13) { silent += [Advice.guardInstall, Advice.guardRemove] }
        for advice in silent {
            let worker = Worker.advise(scene.area.start, 4 * backing.pageSize, advice)
            try eventually { worker.isDone }
            #expect(worker.join() == 0, "advice \(advice)")
        }
        if scene.area.file >= 0 {
            #expect(ctest_punch_hole(scene.area.file, 0, UInt64(backing.pageSize)) == 0)
            #expect(ctest_truncate(scene.area.file, UInt64(2 * backing.pageSize)) == 0)
        }
        var batch = EventBatch(capacity: 1)
        #expect(try batch.read(from: scene.served.uffd) == 0)
        // Gone they are from the mapping of the file itself; what is beyond its end cannot be filled.
        if backing.isShared { #expect(scene.copy(0) == .whole) }
        if backing != .anonymous && backing != .hugePrivate { #expect(scene.copy(3).errno == .badAddress) }
    }

    @Test("55. mmap_changing isolated per uffd", arguments: Backing.all)
    func isolated(backing: Backing) throws {
        let (changing, other) = (
            try Scene(backing, pages: 2, features: .removeEvents),
            try Scene(backing, pages: 2, features: .removeEvents)
        )
        let dropper = Worker.advise(changing.area.start, backing.pageSize, Advice.dontNeed)
        try eventually { dropper.sleepsIn == eventWait }
        #expect(changing.copy(1) == .again)
        #expect(other.copy(1) == .whole)
        var batch = EventBatch(capacity: 1)
        let reader = try other.parkedReader(0, &batch)
        #expect(other.copy(0) == .whole)
        #expect(reader.join() == 1)
        #expect(changing.copy(1) == .again)
        _ = try batch.next(from: changing.served)
        #expect(dropper.join() == 0)
        #expect(changing.copy(1) == .whole)
    }
}

extension Scene {
    /// Fills a page with zeroes, also where there is no zero page.
    fileprivate func zeroed(_ page: Int) -> Outcome {
        guard area.backing.isHuge else { return served.uffd.zero(area.pages(page)) }
        ctest_fill_pages(UInt64(source.start), 1, UInt64(area.pageSize), 0)
        return served.uffd.copy(from: source.start, to: area.pages(page))
    }
}
