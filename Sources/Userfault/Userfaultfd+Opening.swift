extension Userfaultfd {
    /// A way to get a userfaultfd.
    public enum Access: Hashable, Sendable, CustomStringConvertible {
        /// `/dev/userfaultfd` (6.1): whoever may open the file.
        case deviceNode
        /// userfaultfd(2): with `CAP_SYS_PTRACE`, or where `vm.unprivileged_userfaultfd` is 1.
        case systemCall
        /// userfaultfd(2) with `UFFD_USER_MODE_ONLY` (5.11): anyone. Faults that the kernel takes
        /// on behalf of a thread are not served: the system call fails with `EFAULT`.
        case userModeOnly

        /// The way, as it is called outside Swift.
        public var description: String {
            switch self {
            case .deviceNode: "/dev/userfaultfd"
            case .systemCall: "userfaultfd(2)"
            case .userModeOnly: "userfaultfd(2) with UFFD_USER_MODE_ONLY"
            }
        }
    }

    /// Opens a userfaultfd for this process and enables it, non-blocking and close-on-exec: the
    /// first way that works, then `UFFDIO_API`. Any thread may call it.
    ///
    /// What the kernel has is found out with a second descriptor, thrown away, because the
    /// handshake works once for each.
    ///
    /// - Parameters:
    ///   - required: features without which there is no point.
    ///   - requested: features to enable where the kernel has them and permits them; see
    ///     ``features`` for what came of it.
    ///   - ways: the ways to try, in this order.
    /// - Throws: an error of ``UserfaultfdError/Operation/open`` with what each way said; one of
    ///   ``UserfaultfdError/Operation/handshake`` that names the required features the kernel
    ///   lacks, or with `EPERM` where ``Features/forkEvents`` is required without `CAP_SYS_PTRACE`.
    public init(
        requiring required: Features = [], requesting requested: Features = [],
        trying ways: [Access] = [.deviceNode, .systemCall, .userModeOnly]
    ) throws(UserfaultfdError) {
        let opened = try OpenedDescriptor(trying: ways)
        let wanted = required.union(requested)
        guard !wanted.isEmpty else {
            let answer = try opened.enable([])
            let access = opened.access
            self.init(owning: opened.release(), features: [], available: answer.available, access: access)
            return
        }
        let available = try OpenedDescriptor(trying: [opened.access]).enable([]).available
        guard available.isSuperset(of: required) else {
            throw UserfaultfdError(
                operation: .handshake, errno: .invalidArgument,
                missingFeatures: required.subtracting(available))
        }
        var features = wanted.intersection(available)
        do throws(UserfaultfdError) {
            _ = try opened.enable(features)
        } catch {
            // Only fork events need a permission. Where they are not required, go without.
            guard error.errno == .notPermitted, features.contains(.forkEvents) else { throw error }
            guard !required.contains(.forkEvents) else {
                throw UserfaultfdError(
                    operation: .handshake, errno: .notPermitted, missingFeatures: .forkEvents)
            }
            features.remove(.forkEvents)
            _ = try opened.enable(features)
        }
        let access = opened.access
        self.init(owning: opened.release(), features: features, available: available, access: access)
    }

    /// Takes over an enabled descriptor whose features are not known, and asks the kernel for them.
    /// Sets it non-blocking and close-on-exec.
    ///
    /// - Throws: `EBADF` where it is not open, `EINVAL` where it is no userfaultfd or was never
    ///   enabled, and what ``UserfaultfdStatus/init(ofDescriptor:)`` throws. The descriptor is then
    ///   left to the caller.
    public init(adopting descriptor: CInt) throws(UserfaultfdError) {
        let status = try UserfaultfdStatus(ofDescriptor: descriptor)
        guard status.isEnabled else {
            throw UserfaultfdError(operation: .adopt, errno: .invalidArgument)
        }
        let error = Kernel.setFlags(descriptor)
        guard error == 0 else {
            throw UserfaultfdError(operation: .adopt, errno: Errno(rawValue: error))
        }
        self.init(owning: descriptor, features: status.features, available: status.features, access: nil)
    }

    /// Finds out what this kernel allows this process, with a descriptor that is thrown away. Any
    /// thread may call it.
    ///
    /// - Throws: an error of ``UserfaultfdError/Operation/open`` with what each way said.
    public static func probe(
        trying ways: [Access] = [.deviceNode, .systemCall, .userModeOnly]
    ) throws(UserfaultfdError) -> Capabilities {
        let opened = try OpenedDescriptor(trying: ways)
        let answer = try opened.enable([])
        return Capabilities(
            access: opened.access, refusals: opened.refusals, availableFeatures: answer.available,
            operations: answer.operations)
    }
}
