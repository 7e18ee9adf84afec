/// Why a call of the reactor failed.
public struct ReactorError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is. More may be added.
    public struct Code: Hashable, Sendable {
        enum Kind: Hashable, Sendable {
            case shutDown, cancelled, notOnLoop, notHosted, alreadyDriven
            case badDescriptor, unsupportedDescriptor, descriptorInUse, system
            // Streams and signals; described in ReactorError+Streams.swift.
            case closed, endOfStream, busy, lineTooLong, connectionRefused, connectionReset, brokenPipe,
                timedOut
            case addressInUse, badAddress, badSignal, signalsInUse
            // Messages and processes; described in ReactorError+Messages.swift.
            case messageTooLong, tooManyDescriptors, emptyMessage, notLocal, wrongSocketKind, noSuchProcess
            case emptyGroup, noSuchProcessor
        }

        let kind: Kind

        /// The reactor, or the source, was shut down.
        public static let shutDown = Code(kind: .shutDown)
        /// The waiting task was cancelled.
        public static let cancelled = Code(kind: .cancelled)
        /// The call belongs on the loop thread and was made elsewhere.
        public static let notOnLoop = Code(kind: .notOnLoop)
        /// The reactor is not driven by its host, so that `run()` and `turn(waiting:)` are not for it.
        public static let notHosted = Code(kind: .notHosted)
        /// Another thread, or a turn further up the stack, drives the reactor at this moment.
        public static let alreadyDriven = Code(kind: .alreadyDriven)
        /// The number is no open descriptor (`EBADF`).
        public static let badDescriptor = Code(kind: .badDescriptor)
        /// The descriptor cannot be waited for: a regular file or a directory (`EPERM` of `epoll_ctl(2)`).
        public static let unsupportedDescriptor = Code(kind: .unsupportedDescriptor)
        /// The reactor has a source for this descriptor already.
        public static let descriptorInUse = Code(kind: .descriptorInUse)
        /// A group is to have no reactors.
        public static let emptyGroup = Code(kind: .emptyGroup)
        /// A thread is to be pinned to a processor that does not exist, or that the process may not use.
        public static let noSuchProcessor = Code(kind: .noSuchProcessor)
        /// A system call failed; see ``ReactorError/systemError``.
        public static let system = Code(kind: .system)
    }

    /// The kind of failure.
    public var code: Code
    /// The call that failed, such as `epoll_ctl`; empty where there was none.
    public var operation: String
    /// The `errno` of that call, or 0.
    public var systemError: CInt

    init(_ code: Code, _ operation: String = "", systemError: CInt = 0) {
        self.code = code
        self.operation = operation
        self.systemError = systemError
    }

    /// The reactor was shut down.
    public static let shutDown = ReactorError(.shutDown)
    /// The waiting task was cancelled.
    public static let cancelled = ReactorError(.cancelled)
    /// The call belongs on the loop thread and was made elsewhere.
    public static let notOnLoop = ReactorError(.notOnLoop)

    /// A sentence that says what happened and what to do about it.
    public var description: String {
        switch code.kind {
        case .shutDown: "The reactor is shut down; make a new one."
        case .cancelled: "The task that waited was cancelled."
        case .notOnLoop: "This call belongs on the loop thread; make it inside Reactor.run(_:)."
        case .notHosted: "Only a reactor made by Reactor.hosted is driven by run() and turn(waiting:)."
        case .alreadyDriven: "The reactor is being driven already; drive it from one place at a time."
        case .badDescriptor: "No such descriptor is open; add a descriptor before it is closed."
        case .unsupportedDescriptor:
            "This kind of descriptor is always ready and cannot be waited for (regular file or directory); "
                + "read it on a thread of its own."
        case .descriptorInUse:
            "The descriptor has a source in this reactor already; cancel that first, or watch a dup(2) of it."
        case .emptyGroup:
            "A group needs at least one reactor; leave the count out for one on each processor."
        case .noSuchProcessor:
            "The thread cannot be pinned: there is no such processor, or the process may not use it (taskset(1), cpuset). "
                + "Take one of those that sched_getaffinity(2) tells."
        case .system:
            "\(operation) failed: \(describeSystemError(systemError)).\(advice)"
        default: messageDescription ?? streamDescription
        }
    }

    private var advice: String {
        switch systemError {
        case SystemCall.tooManyDescriptors:
            " Raise the limit on open files (ulimit -n), or look for a descriptor leak."
        case SystemCall.temporarilyUnavailable:
            " The limit on threads is reached (ulimit -u, cgroup pids.max)."
        case SystemCall.noSpace: " Raise fs.epoll.max_user_watches."
        default: ""
        }
    }
}
