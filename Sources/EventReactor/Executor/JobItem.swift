/// An entry of the job queue: one word, so that queueing a job allocates nothing.
///
/// The two low bits of the pointer say what it points to.
@safe struct JobItem: Sendable {
    private static let handlerTag: UInt = 1
    private static let workTag: UInt = 2

    private let bits: UInt

    /// A job that runs isolated to the reactor.
    init(_ job: UnownedJob) {
        bits = unsafe unsafeBitCast(job, to: UInt.self)
    }

    /// A job of a task that is isolated to nothing.
    init(handler job: UnownedJob) {
        bits = unsafe unsafeBitCast(job, to: UInt.self) | Self.handlerTag
    }

    /// Work of our own, retained until it ran.
    init(_ work: LoopWork) {
        bits = unsafe UInt(bitPattern: Unmanaged.passRetained(work).toOpaque()) | Self.workTag
    }

    /// Runs the entry. Exactly once.
    @inline(__always)
    func run(_ executors: borrowing ExecutorReferences) {
        let pointer = bits & ~3
        switch bits & 3 {
        case 0:
            unsafe unsafeBitCast(pointer, to: UnownedJob.self)
                .runSynchronously(isolatedTo: unsafe executors.serial, taskExecutor: executors.task)
        case Self.handlerTag:
            unsafe unsafeBitCast(pointer, to: UnownedJob.self).runSynchronously(on: executors.handlers)
        default:
            if let raw = unsafe UnsafeRawPointer(bitPattern: pointer) {
                unsafe Unmanaged<LoopWork>.fromOpaque(raw).takeRetainedValue().run()
            }
        }
    }
}

/// The executors that jobs are run on. Unowned: the reactor outlives every run of its loop.
@safe struct ExecutorReferences {
    let serial: UnownedSerialExecutor
    let task: UnownedTaskExecutor
    let handlers: UnownedTaskExecutor
}

/// Work of our own in the job queue.
class LoopWork {
    /// Runs on the loop thread, once.
    func run() {}
}

/// A closure in the job queue.
final class ClosureWork: LoopWork {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }

    override func run() {
        body()
    }
}
