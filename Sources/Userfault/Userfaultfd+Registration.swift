extension Userfaultfd {
    /// Traps accesses of a range from now on: `UFFDIO_REGISTER`.
    ///
    /// Pages that are there already are not missing. Holes between mappings are skipped. The same
    /// range can be registered again: a subset of its modes changes nothing, others replace them.
    ///
    /// - Parameters:
    ///   - range: page-aligned, to the huge page for hugetlbfs.
    ///   - modes: at least one.
    /// - Returns: what may be done to the range; see ``Operations/usable(on:)``.
    /// - Throws: `EINVAL` (alignment, modes, nothing mapped, memory that cannot be served), `EBUSY`
    ///   (another descriptor has it), `EPERM` (a shared file that may not be written), `ENOMEM`
    ///   (process gone, or too many mappings).
    public borrowing func register(
        _ range: AddressRange, modes: RegistrationModes
    ) throws(UserfaultfdError) -> Operations {
        let answer = Kernel.register(fileDescriptor, range, modes)
        guard answer.error == 0 else {
            throw UserfaultfdError(operation: .register, errno: Errno(rawValue: answer.error), range: range)
        }
        return answer.operations
    }

    /// Ends the trapping and lets everyone go who waits in the range: `UFFDIO_UNREGISTER`, then
    /// always `UFFDIO_WAKE`, because the kernel itself wakes only those who wait for missing pages.
    ///
    /// What was still missing reads as zero from then on. The wake is done even where unregistering
    /// fails, as it does when the range is unmapped already.
    ///
    /// - Throws: `EINVAL` (alignment, nothing mapped, another descriptor's range since Linux 6.17),
    ///   `ENOMEM` (process gone, or too many mappings).
    public borrowing func unregister(_ range: AddressRange) throws(UserfaultfdError) {
        let error = Kernel.unregister(fileDescriptor, range)
        let wakeError = Kernel.wake(fileDescriptor, range)
        guard error == 0 else {
            throw UserfaultfdError(operation: .unregister, errno: Errno(rawValue: error), range: range)
        }
        guard wakeError == 0 else {
            throw UserfaultfdError(operation: .wake, errno: Errno(rawValue: wakeError), range: range)
        }
    }

    /// Lets every thread go that waits in the range, for whatever reason: `UFFDIO_WAKE`. Each tries
    /// its access again; where nothing has changed, a new message comes.
    ///
    /// Works on ranges that are not registered, or not even mapped. Costs more the more threads
    /// wait on this descriptor.
    ///
    /// - Throws: `EINVAL` for a range that is not page-aligned, empty, or not in user memory.
    public borrowing func wake(_ range: AddressRange) throws(UserfaultfdError) {
        let error = Kernel.wake(fileDescriptor, range)
        guard error == 0 else {
            throw UserfaultfdError(operation: .wake, errno: Errno(rawValue: error), range: range)
        }
    }
}
