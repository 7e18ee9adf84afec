import CTestSupport
import Glibc
import Testing

/// A thread that does one thing, and what came of it. Joined by whoever started it.
///
/// Sendable: the C side is made to be asked from any thread, and the join consumes the value.
@safe
struct Worker: ~Copyable, @unchecked Sendable {
    private let pointer: OpaquePointer

    init(_ task: ctest_task, _ a: UInt = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0, _ e: Int = 0) {
        unsafe pointer = ctest_work(
            task, UInt64(a), UInt64(bitPattern: Int64(b)), UInt64(bitPattern: Int64(c)),
            UInt64(bitPattern: Int64(d)), UInt64(bitPattern: Int64(e)))
    }

    static func peek(_ address: UInt) -> Worker { Worker(ctest_task_try_peek, address) }
    static func poke(_ address: UInt, _ value: UInt8 = 1) -> Worker {
        Worker(ctest_task_try_poke, address, Int(value))
    }

    /// Looks at all pages of an area (or from another address), in order.
    static func walk(_ area: Area, at start: UInt? = nil, first: Int = 1, options: UInt32 = 0) -> Worker {
        Worker(
            ctest_task_walk, start ?? area.start, area.pageCount, area.pageSize, first, Int(options))
    }

    static func advise(_ start: UInt, _ byteCount: Int, _ advice: CInt) -> Worker {
        Worker(ctest_task_madvise, start, byteCount, Int(advice))
    }

    var threadID: UInt32 {
        while true {
            let id = unsafe ctest_worker_thread_id(pointer)
            if id != 0 { return id }
            _ = ctest_pause(10_000)
        }
    }

    var isDone: Bool { unsafe ctest_worker_is_done(pointer) != 0 }

    /// Where in the kernel it sleeps; "0" where it does not.
    var sleepsIn: String { readText("/proc/self/task/\(threadID)/wchan") ?? "" }
    var isParked: Bool { sleepsIn == "handle_userfault" }

    /// "S", "D", "R", …
    var state: Character {
        let text = readText("/proc/self/task/\(threadID)/stat") ?? ""
        return text[(text.lastIndex(of: ")") ?? text.startIndex)...].dropFirst(2).first ?? "?"
    }

    /// Nanoseconds it has run.
    var runTime: Int {
        let text = readText("/proc/self/task/\(threadID)/schedstat") ?? ""
        return Int(text.split(separator: " ").first ?? "") ?? 0
    }

    func waitUntilParked() throws { try eventually { isParked } }

    func signal(_ number: CInt) { unsafe ctest_worker_signal(pointer, number) }

    consuming func join() -> Int64 { unsafe ctest_worker_join(pointer) }
}

/// Waits for a condition that another thread or the kernel brings about.
func eventually(_ condition: () throws -> Bool) throws {
    for _ in 0..<100_000 {
        if try condition() { return }
        _ = ctest_pause(300_000)
    }
    try #require(try condition(), "waited in vain")
}

/// A child to be forked by a thread of its own, and the pipe that holds it.
///
/// Sendable: the memory is written before the fork, and freed by the deinit.
@safe
final class Child: @unchecked Sendable {
    private let description: UnsafeMutablePointer<ctest_child>
    private let ready: CInt
    private var release: CInt

    init(_ task: ctest_child_task, _ a: UInt = 0, _ b: Int = 0, _ c: Int = 0, _ d: UInt = 0, options: Int = 0)
    {
        var (hold, told): ([CInt], [CInt]) = ([0, 0], [0, 0])
        precondition(unsafe ctest_pipe(&hold) == 0 && ctest_pipe(&told) == 0)
        unsafe description = .allocate(capacity: 1)
        unsafe description.initialize(
            to: ctest_child(
                task: task, a: UInt64(a), b: UInt64(b), c: UInt64(c), d: UInt64(d), options: CInt(options),
                hold: hold[0], release: hold[1], ready: told[1]))
        ready = told[0]
        release = hold[1]
    }

    deinit {
        letGo()
        _ = ctest_close(ready)
        unsafe ctest_close(description.pointee.hold)
        unsafe ctest_close(description.pointee.ready)
        unsafe description.deallocate()
    }

    /// Starts a thread that forks; its result is the number of the child.
    func fork() -> Worker { unsafe Worker(ctest_task_fork_child, UInt(bitPattern: description)) }

    /// Returns when the child waits.
    func waitUntilReady() -> Bool { ctest_read_byte(ready) == 1 }

    /// Lets the child end.
    func letGo() {
        if release >= 0 { _ = ctest_close(release) }
        release = -1
    }
}
