extension UserfaultfdError {
    /// What to do about it: whole sentences, most helpful first. Empty where there is nothing to
    /// say.
    public var advice: [String] {
        switch operation {
        case .open: openingAdvice
        case .handshake: handshakeAdvice
        default: [rangeAdvice].compactMap { $0 }
        }
    }

    private var openingAdvice: [String] {
        guard !refusals.isEmpty else { return ["No way of opening was given to try."] }
        var advice: [String] = []
        for refusal in refusals {
            guard let sentence = UserfaultfdError.advice(for: refusal), !advice.contains(sentence) else {
                continue
            }
            advice.append(sentence)
        }
        if !refusals.contains(where: { $0.access == .userModeOnly }) {
            advice.append(
                "Where faults taken inside system calls need not be served, .userModeOnly works without privilege."
            )
        }
        return advice
    }

    private static func advice(for refusal: Refusals.Refusal) -> String? {
        switch (refusal.access, refusal.errno) {
        case (_, .tooManyFiles):
            "Raise the limit on open descriptors (ulimit -n)."
        case (_, .tooManyFilesInSystem):
            "Raise the system's limit on open files (sysctl fs.file-max)."
        case (_, .noMemory):
            "The kernel is out of memory."
        case (.deviceNode, .accessDenied):
            "Give this user read access to /dev/userfaultfd (a udev rule, or setfacl -m u:NAME:r /dev/userfaultfd)."
        case (.deviceNode, .noEntry):
            "/dev/userfaultfd exists since Linux 6.1; pass it into a container (--device /dev/userfaultfd)."
        case (.deviceNode, .notPermitted):
            "The device controller of a container forbids /dev/userfaultfd; allow it (--device /dev/userfaultfd)."
        case (.systemCall, .notPermitted):
            "Run with CAP_SYS_PTRACE, or allow everyone (sysctl vm.unprivileged_userfaultfd=1); in a container the seccomp "
                + "profile must allow userfaultfd too."
        case (.userModeOnly, .notPermitted):
            "Even faults of user mode are refused: a seccomp profile, as containers have, forbids userfaultfd; allow it there."
        case (.userModeOnly, .invalidArgument):
            "User-mode-only needs Linux 5.11."
        case (_, .noSystemCall):
            "The kernel was built without CONFIG_USERFAULTFD, or a seccomp profile hides userfaultfd."
        default: nil
        }
    }

    private var handshakeAdvice: [String] {
        switch errno {
        case .notPermitted:
            [
                "Fork events need CAP_SYS_PTRACE (run as root, or setcap cap_sys_ptrace+ep PROGRAM); request them as optional, "
                    + "or do without."
            ]
        case .invalidArgument where !missingFeatures.isEmpty:
            ["The kernel is too old for them; request as optional what can be done without."]
        case .invalidArgument:
            ["The descriptor is enabled already, or is no userfaultfd."]
        default: []
        }
    }

    private var rangeAdvice: String? {
        switch (operation, errno) {
        case (_, .badDescriptor):
            "The descriptor is closed."
        case (.adopt, .invalidArgument):
            "Whoever opened the descriptor must enable it (UFFDIO_API) before handing it over."
        case (.register, .busy):
            "Another userfaultfd has registered part of the range."
        case (.register, .invalidArgument):
            "The range must be page-aligned (to the huge page on hugetlbfs), not empty, and mapped; only anonymous memory, shared "
                + "memory and hugetlbfs can be served, and minor faults not on anonymous memory."
        case (.register, .notPermitted):
            "A shared file mapping must be writable: open the file for writing, without F_SEAL_WRITE."
        case (.register, .noMemory), (.unregister, .noMemory):
            "The process has exited, or has too many mappings (sysctl vm.max_map_count)."
        case (.unregister, .invalidArgument):
            "The range must be page-aligned, not empty, mapped, and not another userfaultfd's."
        case (.wake, .invalidArgument):
            "The range must be page-aligned, not empty, and in user memory."
        case (.copy, .badAddress):
            "The source cannot be read, or the range is beyond the end of its file."
        case (.mapExisting, .badAddress):
            "The page cache has no page there: write it through another mapping first."
        case (.move, .badAddress):
            "A source page is poisoned or a write-protection marker."
        case (.mapExisting, .inputOutput):
            "The page in the page cache is broken (hardware poison)."
        case (.move, .busy):
            "A source page is shared (after a fork, until it is written again) or pinned: copy instead."
        case (.move, .invalidArgument):
            "Both sides must be page-aligned private anonymous memory of this process with equal protection, and the range "
                + "registered with this descriptor within one mapping; or the process has exited."
        case (.zero, .invalidArgument):
            "The range must be page-aligned and not empty; hugetlbfs has no zero page."
        case (.mapExisting, .invalidArgument):
            "The range must be page-aligned, not empty, on shared memory or hugetlbfs, and within its file."
        case (.writeProtect, .invalidArgument):
            "The range must be page-aligned and not empty, and .protect cannot be combined with .dontWake."
        case (.copy, .invalidArgument), (.poison, .invalidArgument):
            "The range must be page-aligned (to the huge page on hugetlbfs) and not empty; write-protected copies need a range "
                + "registered for write-protection."
        case (_, .noMemory):
            "No memory is left: of the machine, the cgroup, the tmpfs or the pool of huge pages."
        case (.read, .tooManyFiles):
            "A forked child's descriptor cannot be delivered; free a descriptor and read again, the message is kept."
        case (.read, .invalidArgument):
            "The descriptor was never enabled (UFFDIO_API)."
        case (.status, .invalidArgument):
            "The descriptor is no userfaultfd."
        case (.scan, .notATerminal):
            "PAGEMAP_SCAN needs Linux 6.7; until then follow write-protect faults."
        case (.scan, .notPermitted):
            "Protecting while scanning needs a range registered for write-protection, with asynchronousWriteProtect where that was "
                + "asked for."
        case (.scan, .invalidArgument):
            "The range must be page-aligned, the categories those of this kernel, and the room for runs not empty."
        case (.openPagemap, .accessDenied), (.openPagemap, .notPermitted):
            "Looking into another process needs the right to trace it (CAP_SYS_PTRACE, or the same user)."
        case (.openPagemap, .noEntry):
            "There is no such process, or /proc is not mounted."
        case (.readPagemap, .noProcess), (.scan, .noProcess):
            "The process has exited, or has no such address."
        case (.relay, .tooManyFiles):
            "It takes ten descriptors: raise the limit (ulimit -n)."
        case (.relay, .tryAgain):
            "The limit on threads is reached (ulimit -u, or the cgroup's pids.max)."
        case (.status, .noEntry):
            "/proc is not mounted."
        default: nil
        }
    }
}
