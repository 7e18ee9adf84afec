/// Who installs a missing page. See <doc:InThreadResolution>.
public enum ResolutionMode: Hashable, Sendable {
    /// The reactor: the kernel parks the thread that faults and sends a message. Works for every handler, and for faults
    /// inside system calls where that is permitted. The default.
    case reactor
    /// The thread that faults, in a handler of SIGBUS (`UFFD_FEATURE_SIGBUS`), where the contents are in memory (``InMemoryHandler``);
    /// it hands everything else to the reactor and sleeps until that has seen to it. About half the latency on one core, and
    /// far less across cores. A system call that is given a missing page fails with `EFAULT`.
    case inThread
}
