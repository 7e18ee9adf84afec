import EventReactor
internal import Faultline

/// A thread of its own for touching registered memory, so that no test thread is parked.
///
/// ```swift
/// let thread = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
/// await thread.waitUntilParked()
/// #expect(await thread.value == 42)
/// ```
public final class FaultingThread<Value: Sendable>: Sendable {
    private struct State {
        var threadID: Int32 = 0
        var value: Value?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    // A class of its own: the thread must not keep this object alive, nor its end join itself.
    private final class Box: Sendable {
        let state = Lock(State())
    }

    private let box = Box()
    private let thread: UInt

    /// Starts a thread that runs `body`.
    public init(_ body: @escaping @Sendable () -> Value) {
        let box = self.box
        thread = ThreadCalls.start {
            box.state.withLock { $0.threadID = ThreadCalls.currentID }
            let value = body()
            let waiters = box.state.withLock { state in
                state.value = value
                defer { state.waiters.removeAll() }
                return state.waiters
            }
            for waiter in waiters { waiter.resume() }
        }
    }

    deinit { ThreadCalls.join(thread) }

    /// Whether `body` has returned.
    public var isFinished: Bool { box.state.withLock { $0.value != nil } }

    /// The kernel's id of the thread, once it runs.
    public var threadID: Int32 { box.state.withLock { $0.threadID } }

    /// Whether the thread waits for a page: in the kernel, or, where faults are resolved in-thread, for the reactor to see
    /// to one.
    public var isParked: Bool {
        let id = threadID
        guard id != 0 else { return false }
        if ThreadCalls.readFile("/proc/self/task/\(id)/wchan") == "handle_userfault" { return true }
        // The call's number and its arguments in hexadecimal: the first one of futex(2) is the futex.
        let call = ThreadCalls.readFile("/proc/self/task/\(id)/syscall")?.split(separator: " ") ?? []
        guard call.count > 1, let argument = UInt(call[1].dropFirst(2), radix: 16) else { return false }
        return InThreadKernel.isFutex(argument)
    }

    /// Returns when the thread waits for a page, or has finished.
    public func waitUntilParked() async {
        while !isParked && !isFinished { ThreadCalls.giveWay() }
    }

    /// What `body` returned, when it has.
    public var value: Value {
        get async {
            await withCheckedContinuation { continuation in
                let isFinished = box.state.withLock { state in
                    if state.value == nil { state.waiters.append(continuation) }
                    return state.value != nil
                }
                if isFinished { continuation.resume() }
            }
            return box.state.withLock { state in
                guard let value = state.value else { preconditionFailure("a finished thread has a value") }
                return value
            }
        }
    }

    /// Sends a signal to the thread (pthread_kill(3)).
    public func signal(_ number: Int32) {
        guard !isFinished else { return }
        ThreadCalls.signal(thread, number)
    }
}
