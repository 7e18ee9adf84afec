// Memory of this process that lives in another one. Tasks count in it, and check every count, however often the server is
// killed meanwhile. The README beside this file shows how to run it.

import EventReactor
import Faultline
import FaultlineRemote
import Glibc
import Synchronization

@main
struct RemoteMemory {
    static let tasks = 4

    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count == 3, let port = UInt16(arguments[1]), let seconds = Double(arguments[3]) else {
            say("usage: remote-memory PORT SECRET-FILE SECONDS")
            exit(64)
        }
        let reactor = try Reactor.start(.init(name: "remote-memory"))
        let secret = try SharedSecret(contentsOfFile: arguments[2])
        var options = RemoteStore.Options()
        options.onEvent = { say("\($0)") }
        let store = try await RemoteStore.connect(
            to: .ipv4("127.0.0.1", port: port), export: "memory", secret: secret, on: reactor,
            options: options)

        // A sixteenth of the store is in memory here at a time.
        let pager = try await Pager(on: reactor)
        let budget = try MemoryBudget(byteCount: max(store.byteCount / 16, 1 << 20))
        let region = try await pager.map(store: store, budget: budget)
        say("\(store.byteCount >> 20) MiB of remote memory, \(budget.byteCount >> 20) MiB of it here")

        let signals = try await reactor.signals(SIGTERM, SIGINT)
        let progress = Progress(until: .now + .seconds(seconds))
        let interruption = Task(executorPreference: reactor) {
            for await _ in signals { progress.isOver.store(true, ordering: .relaxed) }
        }
        // Tasks of Swift's pool, which wait for pages now and then: the reactor needs no thread of it.
        await withTaskGroup { group in
            for task in 0..<tasks {
                group.addTask { await count(in: region, over: store, as: task, progress) }
            }
        }
        interruption.cancel()
        try await region.flush()
        let wrong = progress.wrong.load(ordering: .relaxed)
        let accesses = progress.accesses.load(ordering: .relaxed)
        let statistics = await store.statistics()
        say(
            "\(accesses) accesses, \(statistics.connections) connections, "
                + "\(statistics.replayedByteCount) bytes written again")
        say(wrong == 0 ? "no wrong byte" : "\(wrong) wrong words")
        await pager.shutdown()
        await store.close()
        await reactor.shutdown()
        exit(wrong == 0 ? 0 : 1)
    }

    /// What the tasks have found so far, and when they end.
    final class Progress: Sendable {
        let accesses = Atomic(0)
        let wrong = Atomic(0)
        let isOver = Atomic(false)
        private let end: ContinuousClock.Instant

        init(until end: ContinuousClock.Instant) { self.end = end }

        var goesOn: Bool { !isOver.load(ordering: .relaxed) && ContinuousClock.now < end }
    }

    /// Counts in a word of its own in pages at random, and compares with what it remembers.
    static func count(
        in region: Region, over store: RemoteStore, as task: Int, _ progress: Progress
    ) async {
        var known = [UInt64?](repeating: nil, count: region.pageCount)
        var report = ContinuousClock.now
        while progress.goesOn {
            let page = Int.random(in: 0..<region.pageCount)
            let offset = page * region.pageSize + 8 * task
            // What an earlier run has left is what the first look finds.
            let value = region.load(fromByteOffset: offset, as: UInt64.self)
            if let expected = known[page], value != expected { progress.wrong.add(1, ordering: .relaxed) }
            region.store(value &+ 1, toByteOffset: offset)
            known[page] = value &+ 1
            let accesses = progress.accesses.add(1, ordering: .relaxed).newValue
            if task == 0, ContinuousClock.now >= report {
                say("\(accesses) accesses so far, connected \(await store.statistics().connections) times")
                report = .now + .milliseconds(500)
            }
            // There may be fewer threads than tasks.
            await Task.yield()
        }
    }
}

/// Prints a line at once, also to a pipe.
private func say(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
}
