import EventReactor
import Glibc
import Testing

@Suite("Shutdown", .timeLimit(.minutes(5)))
struct ShutdownTests {
    @Test("Whoever waits is resumed with shutDown")
    func waiters() async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        let descriptor = try await reactor.descriptor(pipe.readEnd)
        let sleeper = Task { try await reactor.sleep(for: .seconds(1000)) }
        let reader = Task(executorPreference: reactor) { try await descriptor.readable() }
        let ticker = Task {
            for await _ in reactor.ticks(every: .seconds(1000)) {}
            return true
        }
        await reactor.run {}
        await reactor.shutdown()
        await #expect(throws: ReactorError.shutDown) { try await sleeper.value }
        await #expect(throws: ReactorError.shutDown) { try await reader.value }
        #expect(await ticker.value)
    }

    @Test("Handlers that are still there are told, once")
    func abandoned() async throws {
        final class Timer: TimerHandler {
            let abandoned: Count
            init(_ abandoned: Count) { self.abandoned = abandoned }
            func timerFired(_ id: TimerID) { Issue.record("fired") }
            func timerAbandoned(_ id: TimerID) { abandoned.increment() }
        }
        let reactor = try Reactor.start()
        let pipe = Pipe()
        let descriptors = Count()
        let timers = Count()
        try await reactor.run { () throws(ReactorError) in
            let handler = OnReady(abandoned: { descriptors.increment() }, { _ in })
            _ = try reactor.addDescriptor(
                pipe.readEnd, name: "pipe", interest: .readable, handler: handler)
            _ = reactor.startTimer(after: .seconds(1000), Timer(timers))
        }
        await reactor.shutdown()
        #expect(descriptors.value == 1)
        #expect(timers.value == 1)
    }

    @Test("Several callers, from everywhere and again, all see the end")
    func concurrent() async throws {
        let reactor = try Reactor.start()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                let executor: (any TaskExecutor)? = number.isMultiple(of: 2) ? reactor : nil
                group.addTask(executorPreference: executor) { await reactor.shutdown() }
            }
        }
        await reactor.shutdown()
    }

    @Test("A task on the loop may shut it down and go on")
    func fromLoop() async throws {
        let reactor = try Reactor.start()
        let task = Task(executorPreference: reactor) {
            await reactor.shutdown()
            return true
        }
        #expect(await task.value)
    }

    @Test("Jobs that are ready run before the end, also those they enqueue")
    func drains() async throws {
        let reactor = try Reactor.start()
        let count = Count()
        for _ in 0..<100 {
            reactor.execute {
                reactor.execute { reactor.execute { count.increment() } }
            }
        }
        await reactor.shutdown()
        #expect(count.value == 100)
    }

    @Test("A hosted reactor that nobody drives can be shut down")
    func undriven() async throws {
        let reactor = try Reactor.hosted()
        let count = Count()
        reactor.execute { count.increment() }
        await reactor.shutdown()
        #expect(count.value == 1)
    }

    @Test("After the end calls are refused, and jobs still run, one at a time and isolated")
    func late() async throws {
        actor Late {
            let reactor: Reactor
            var count = 0
            nonisolated var unownedExecutor: UnownedSerialExecutor {
                unsafe reactor.asUnownedSerialExecutor()
            }
            init(_ reactor: Reactor) { self.reactor = reactor }
            func increment() -> Bool {
                count += 1
                return reactor.isOnLoop
            }
        }
        let reactor = try Reactor.start()
        let actor = Late(reactor)
        await reactor.shutdown()
        let pipe = Pipe()
        await #expect(throws: ReactorError.shutDown) { try await reactor.sleep(for: .zero) }
        await #expect(throws: ReactorError.shutDown) { try await reactor.descriptor(pipe.readEnd) }
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<100 { group.addTask { await actor.increment() } }
            for await wasOnLoop in group { #expect(wasOnLoop) }
        }
        #expect(await actor.count == 100)
        #expect(await reactor.run { reactor.isOnLoop })
    }

    @Test("A late job may take the lock that its enqueuer holds")
    func lateUnderLock() async throws {
        let reactor = try Reactor.start()
        await reactor.shutdown()
        let lock = Lock(0)
        let done = Gate()
        lock.withLock { _ in
            reactor.execute {
                lock.withLock { $0 += 1 }
                done.open()
            }
        }
        await done.wait()
        #expect(lock.withLock { $0 } == 1)
    }

    @Test("Enqueues that race with the end are all run")
    func races() async throws {
        for _ in 0..<50 {
            let reactor = try Reactor.start()
            let count = Count()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        for _ in 0..<50 { await reactor.run { count.increment() } }
                    }
                }
                group.addTask { await reactor.shutdown() }
            }
            #expect(count.value == 150)
        }
    }

    @Test("No descriptor and no thread is left behind, by shutdown or by letting go")
    func leaks() async throws {
        await #expect(processExitsWith: .success) {
            func count(_ directory: String) -> Int {
                guard let handle = unsafe opendir(directory) else { return -1 }
                defer { unsafe closedir(handle) }
                var number = 0
                while unsafe readdir(handle) != nil { number += 1 }
                return number
            }
            try await openRuntimeDescriptors()
            let descriptors = count("/proc/self/fd")
            for _ in 0..<20 {
                let reactor = try Reactor.start()
                let pipe = Pipe()
                _ = try await reactor.descriptor(pipe.readEnd)
                await reactor.shutdown()
                let hosted = try Reactor.hosted()
                await hosted.shutdown()
            }
            precondition(count("/proc/self/fd") == descriptors, "descriptors leak at shutdown")
            var impossible = Reactor.Configuration()
            impossible.processor = 1 << 20
            for _ in 0..<20 {
                let reactor = try? Reactor.start(impossible)
                precondition(reactor == nil, "there is no such processor")
            }
            precondition(count("/proc/self/fd") == descriptors, "descriptors leak where no thread starts")
            for _ in 0..<20 {
                _ = try Reactor.start()
                _ = try Reactor.hosted()
            }
            // Nobody can wait for a reactor that was let go of; it ends on its own.
            while count("/proc/self/fd") != descriptors { sched_yield() }
            while true {
                var names: [String] = []
                guard let handle = unsafe opendir("/proc/self/task") else { break }
                while let entry = unsafe readdir(handle) {
                    let id = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                            unsafe String(cString: $0)
                        }
                    }
                    guard let file = unsafe fopen("/proc/self/task/\(id)/comm", "r") else { continue }
                    var line = [CChar](repeating: 0, count: 32)
                    if unsafe fgets(&line, 32, file) != nil {
                        names.append(String(decoding: line.prefix { $0 > 10 }.map(UInt8.init), as: UTF8.self))
                    }
                    unsafe fclose(file)
                }
                unsafe closedir(handle)
                if !names.contains("reactor") { break }
                sched_yield()
            }
        }
    }
}
