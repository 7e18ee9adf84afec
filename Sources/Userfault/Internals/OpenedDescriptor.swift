/// A descriptor just opened, not yet enabled; closed unless released.
struct OpenedDescriptor: ~Copyable {
    let number: CInt
    let access: Userfaultfd.Access
    /// What the ways before `access` said.
    let refusals: Refusals

    /// Opens in the first way that works.
    init(trying ways: [Userfaultfd.Access]) throws(UserfaultfdError) {
        var refusals = Refusals()
        for access in ways {
            let answer = Kernel.open(access)
            if answer >= 0 {
                self.number = answer
                self.access = access
                self.refusals = refusals
                return
            }
            refusals.append(Refusals.Refusal(access: access, errno: Errno(rawValue: -answer)))
        }
        let errno = refusals.last?.errno ?? .invalidArgument
        throw UserfaultfdError(operation: .open, errno: errno, refusals: refusals)
    }

    deinit {
        Kernel.close(number)
    }

    /// Hands the descriptor over.
    consuming func release() -> CInt {
        let number = number
        discard self
        return number
    }

    /// Enables the descriptor with `features`; answers what the kernel has, which is more.
    ///
    /// Works once. A refused call leaves the descriptor as it was.
    borrowing func enable(
        _ features: Features
    ) throws(UserfaultfdError) -> (available: Features, operations: Operations) {
        let answer = Kernel.handshake(number, features)
        guard answer.error == 0 else {
            throw UserfaultfdError(operation: .handshake, errno: Errno(rawValue: answer.error))
        }
        return (answer.features, answer.operations)
    }
}
