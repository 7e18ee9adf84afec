/// One call that waits for something of the loop: a read, a write, an accept.
///
/// Subclasses say what happens on the loop. From another thread the operation is itself the entry of the job queue,
/// so that it is the only object allocated for the call.
///
/// `@unchecked Sendable`: the caller writes `parked` before it hands the operation to the loop; from then on only the
/// loop thread touches its variables.
class LoopOperation<Value: Sendable>: LoopWork, @unchecked Sendable {
    final let loop: LoopState
    private var parked: Parked<Result<Value, ReactorError>>?
    private var hasBegun = false
    private var isCancelled = false
    private var isFinished = false

    init(on loop: LoopState) {
        self.loop = loop
    }

    /// Finishes at once, or remembers the operation where an event will find it. Loop thread only.
    func begin() {}

    /// Forgets an operation whose task was cancelled, whether it has begun or not; it is finished next. Loop thread only.
    func abandon() {}

    /// Lets the task go on. Once; loop thread only.
    final func finish(_ result: Result<Value, ReactorError>) {
        isFinished = true
        parked?.resume(result)
        parked = nil
    }

    final override func run() {
        hasBegun = true
        if !isCancelled { return begin() }
        abandon()
        finish(.failure(.cancelled))
    }

    private func cancel() {
        isCancelled = true
        guard hasBegun, !isFinished else { return }
        abandon()
        finish(.failure(.cancelled))
    }

    /// Does the operation: at once if the caller is on the loop thread.
    final func complete(isolation: isolated (any Actor)?) async throws(ReactorError) -> Value {
        let result = await withTaskCancellationHandler(
            operation: {
                await park(on: loop, isolation: isolation) { (parked: Parked<Result<Value, ReactorError>>) in
                    self.parked = parked
                    if loop.isOnLoop { run() } else { loop.enqueue(JobItem(self)) }
                }
            }, onCancel: { loop.perform { self.cancel() } }, isolation: isolation)
        return try result.get()
    }
}

/// Operations in the order in which they came.
struct OperationQueue<Operation: AnyObject> {
    private var operations: [Operation] = []
    private var head = 0

    var isEmpty: Bool { head == operations.count }
    var first: Operation? { isEmpty ? nil : operations[head] }

    mutating func append(_ operation: Operation) {
        // What was taken is dropped now and then, so that a queue that never runs empty does not grow.
        if head > 16, head * 2 > operations.count {
            operations.removeFirst(head)
            head = 0
        }
        operations.append(operation)
    }

    mutating func popFirst() -> Operation? {
        guard !isEmpty else { return nil }
        let operation = operations[head]
        head += 1
        if head == operations.count {
            operations.removeAll(keepingCapacity: true)
            head = 0
        }
        return operation
    }

    mutating func remove(_ operation: Operation) {
        if let index = operations[head...].firstIndex(where: { $0 === operation }) {
            operations.remove(at: index)
        }
    }
}
