import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite("Reading and polling", .requiresUserfaultfd, .timeLimit(.minutes(5)))
struct ReadingCases {
    @Test("34. batch-read-300", .requiresUserfaultfd(anyBacking), arguments: Backing.all)
    func largeBatch(backing: Backing) throws {
        let (threads, pages) = (300, backing.isHuge ? 4 : 300)
        let scene = try Scene(backing, pages: pages)
        var crowd = Crowd()
        for thread in 0..<threads { crowd.add(scene.reader(thread % pages)) }
        try eventually { try scene.served.pending == threads }
        var batch = EventBatch(capacity: threads + 1)
        #expect(try batch.read(from: scene.served.uffd) == threads)
        var seen = Array(repeating: 0, count: pages)
        batch.forEach { event in
            guard case .fault(let fault) = event else { return }
            seen[scene.area.index(of: fault.address)] += 1
        }
        #expect(seen == Array(repeating: threads / pages, count: pages))
        #expect(scene.copy(0, pages) == .whole)
        #expect(crowd.join() == (0..<threads).map { Int64(UInt8(truncatingIfNeeded: $0 % pages + 1)) })
    }

    // The module always has room for a message; so the kernel is asked directly.
    @Test("35. short-buffer")
    func shortBuffer() throws {
        let scene = try Scene()
        let descriptor = scene.served.uffd.fileDescriptor
        let readers = [1, 2, 3]
        var crowd = Crowd()
        for page in readers { crowd.add(scene.reader(page)) }
        try eventually { try scene.served.pending == 3 }
        for length: UInt64 in [0, 1, 31] { #expect(ctest_raw_read(descriptor, 0, length) == -Int64(EINVAL)) }
        #expect(try scene.served.pending == 3)
        #expect(ctest_raw_read(descriptor, 0, 63) == 32)
        #expect(try scene.served.pending == 2)
        #expect(ctest_raw_read(descriptor, 0, 95) == 64)
        #expect(ctest_raw_read(descriptor, 0, 32) == -Int64(EAGAIN))
        #expect(scene.copy(1, 3) == .whole)
        #expect(crowd.join() == [2, 3, 4])
    }

    // The module's descriptors never block; they can be made to.
    @Test("36. pollerr-on-blocking-fd")
    func blocking() throws {
        let raw = ctest_open_raw()
        defer { _ = ctest_close(raw) }
        #expect(ctest_poll_now(raw) == POLLERR, "before the handshake")

        let scene = try Scene()
        let descriptor = scene.served.uffd.fileDescriptor
        #expect(ctest_poll_now(descriptor) == 0)
        #expect(ctest_set_blocking(descriptor) == 0)
        #expect(ctest_poll_now(descriptor) == POLLERR)
        let reader = scene.reader(1)
        try eventually { try scene.served.pending == 1 }
        #expect(ctest_poll_now(descriptor) == POLLERR)
        #expect(ctest_set_nonblocking(descriptor) == 0)
        #expect(ctest_poll_now(descriptor) == POLLIN)
        var batch = EventBatch(capacity: 1)
        #expect(try batch.read(from: scene.served.uffd) == 1)
        #expect(ctest_poll_now(descriptor) == 0, "it waits still, but its message was read")
        #expect(scene.copy(1) == .whole)
        #expect(reader.join() == 2)
    }

    @Test("37. et-drain")
    func edges() throws {
        let scene = try Scene()
        let edges = ctest_epoll(scene.served.uffd.fileDescriptor, epollIn | epollEdge)
        try #require(edges >= 0)
        defer { _ = ctest_close(edges) }
        var small = EventBatch(capacity: 1)
        let first = scene.reader(1)
        #expect(ctest_epoll_wait(edges, 30_000) == 1)
        #expect(ctest_epoll_wait(edges, 0) == 0, "one edge for one fault")
        let second = scene.reader(2)
        #expect(ctest_epoll_wait(edges, 30_000) == 1)

        // What was left unread makes no edge: read until nothing is left.
        #expect(try small.read(from: scene.served.uffd) == 1)
        #expect(ctest_poll_now(scene.served.uffd.fileDescriptor) == POLLIN)
        #expect(ctest_epoll_wait(edges, 0) == 0)
        #expect(try small.read(from: scene.served.uffd) == 1)
        #expect(try small.read(from: scene.served.uffd) == 0)

        // A thread that faults again makes an edge.
        try scene.wake(1)
        #expect(ctest_epoll_wait(edges, 30_000) == 1)
        #expect(scene.copy(1, 2) == .whole)
        #expect(first.join() == 2)
        #expect(second.join() == 3)
        #expect(ctest_poll_now(scene.served.uffd.fileDescriptor) == 0, "resolved before it was read")
        #expect(try small.read(from: scene.served.uffd) == 0)
    }

    @Test("38. epollexclusive-one", arguments: [false, true])
    func manyWatchers(exclusive: Bool) throws {
        let (scene, watchers) = (try Scene(), 4)
        var sets: [CInt] = []
        var crowd = Crowd()
        for _ in 0..<watchers {
            let set = ctest_epoll(
                scene.served.uffd.fileDescriptor, epollIn | (exclusive ? epollExclusive : 0))
            try #require(set >= 0)
            sets.append(set)
            crowd.add(Worker(ctest_task_epoll_wait, UInt(set)))
        }
        defer { sets.forEach { _ = ctest_close($0) } }
        try eventually { crowd.sleepers.count { $0.contains("ep") } == watchers }

        var readers = Crowd()
        for number in 1...watchers {
            readers.add(scene.reader(number))
            // Whoever is to be woken by a fault is so before its thread sleeps.
            try eventually { try scene.served.pending == number }
            let expected = exclusive ? number : watchers
            try eventually { crowd.doneCount == expected }
            #expect(crowd.sleepers.count { $0.contains("ep") } == watchers - expected)
        }
        #expect(crowd.join() == Array(repeating: 1, count: watchers))
        #expect(scene.copy(1, watchers) == .whole)
        #expect(readers.join() == [2, 3, 4, 5])
    }

    // The module's buffer is ordinary memory of its own; so the kernel is asked directly.
    @Test(
        "57. efault-read loses the message (WAKE restores)", .requiresUserfaultfd(anyBacking),
        arguments: Backing.all)
    func badBuffer(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2)
        let reader = scene.reader(1)
        try eventually { try scene.served.pending == 1 }
        let descriptor = scene.served.uffd.fileDescriptor
        #expect(ctest_raw_read(descriptor, UInt64(neverMapped.start), 32) == -Int64(EFAULT))
        #expect(try scene.served.pending == 0)
        #expect(try scene.served.waiting == 1)
        #expect(ctest_raw_read(descriptor, 0, 32) == -Int64(EAGAIN))
        try scene.wake(1)
        var batch = EventBatch(capacity: 1)
        #expect(try batch.nextFault(from: scene.served).address == scene.area.address(1))
        #expect(scene.copy(1) == .whole)
        #expect(reader.join() == 2)
    }
}

/// `EPOLLIN`, `EPOLLET`, `EPOLLEXCLUSIVE`
private let (epollIn, epollEdge, epollExclusive): (UInt32, UInt32, UInt32) = (1, 1 << 31, 1 << 28)
