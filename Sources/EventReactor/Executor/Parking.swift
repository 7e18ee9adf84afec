/// A suspended task that waits for a value. Resumed exactly once.
@safe struct Parked<Value: Sendable>: Sendable {
    private let continuation: UnsafeContinuation<Value, Never>

    fileprivate init(_ continuation: UnsafeContinuation<Value, Never>) {
        unsafe self.continuation = unsafe continuation
    }

    /// Lets the task go on, on its own executor.
    func resume(_ value: sending Value) {
        unsafe continuation.resume(returning: value)
    }
}

/// Suspends the current task until the `Parked` value given to `body` is resumed.
func park<Value: Sendable>(
    isolation: isolated (any Actor)? = #isolation, _ body: (Parked<Value>) -> Void
) async -> Value {
    unsafe await withUnsafeContinuation { continuation in
        body(unsafe Parked(continuation))
    }
}
