/// A suspended task that waits for a value. Resumed exactly once.
@safe package struct Parked<Value: Sendable>: Sendable {
    @safe private enum Continuation {
        case unsafe(UnsafeContinuation<Value, Never>)
        case checked(Checked)
    }

    /// The size of a checked continuation is known only to the runtime: held directly, it would make every copy of this a
    /// question to it.
    private final class Checked: Sendable {
        let continuation: CheckedContinuation<Value, Never>

        init(_ continuation: CheckedContinuation<Value, Never>) { self.continuation = continuation }
    }

    private let continuation: Continuation

    fileprivate init(_ continuation: UnsafeContinuation<Value, Never>) {
        self.continuation = unsafe .unsafe(continuation)
    }

    fileprivate init(_ continuation: CheckedContinuation<Value, Never>) {
        self.continuation = .checked(Checked(continuation))
    }

    /// Lets the task go on, on its own executor.
    package func resume(_ value: sending Value) {
        switch continuation {
        case .unsafe(let continuation): unsafe continuation.resume(returning: value)
        case .checked(let checked): checked.continuation.resume(returning: value)
        }
    }
}

/// Suspends the current task until the `Parked` value given to `body` is resumed.
///
/// On the loop thread, which will resume it as well, without an allocation. Elsewhere the loop may resume the task
/// before it has quite suspended. That is sound, but the thread sanitizer sees a race, because the order is made
/// inside the runtime; a checked continuation keeps the whole exchange there.
func park<Value: Sendable>(
    on loop: LoopState, isolation: isolated (any Actor)? = #isolation, _ body: (Parked<Value>) -> Void
) async -> Value {
    if loop.isOnLoop {
        unsafe await withUnsafeContinuation { continuation in
            body(unsafe Parked(continuation))
        }
    } else {
        await withCheckedContinuation { continuation in
            body(Parked(continuation))
        }
    }
}

extension Reactor {
    /// Suspends the current task until the `Parked` value given to `body` is resumed; as ``park(on:isolation:_:)``.
    package func suspend<Value: Sendable>(
        isolation: isolated (any Actor)? = #isolation, _ body: (Parked<Value>) -> Void
    ) async -> Value {
        await park(on: loop, isolation: isolation, body)
    }
}
