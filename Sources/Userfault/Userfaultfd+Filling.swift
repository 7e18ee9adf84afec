// Sources are integers, not pointers: the memory behind them is read by the kernel, which answers
// EFAULT where it cannot be, so that there is nothing unsafe about a wrong one. None of these calls
// allocates or throws; they block for as long as they copy.

extension Userfaultfd {
    /// Installs copies of the bytes at `source` as the pages of `range`: `UFFDIO_COPY`.
    ///
    /// - Parameters:
    ///   - source: an address of *this* process; need not be aligned. It must not lie in a range
    ///     that this thread itself serves: the call would wait for itself for ever.
    ///   - range: page-aligned and within one registered mapping.
    ///   - options: see ``CopyOptions``.
    /// - Returns: ``Outcome/failed(_:)`` with `EFAULT` where the source cannot be read or the range
    ///   is beyond the end of its file, `EINVAL` for alignment and options, `ENOMEM` where no
    ///   memory is left (a full tmpfs too).
    public borrowing func copy(
        from source: UInt, to range: AddressRange, options: CopyOptions = []
    ) -> Outcome {
        Kernel.copy(fileDescriptor, source, range, options.rawValue)
    }

    /// Installs zero pages: `UFFDIO_ZEROPAGE`. Not for hugetlbfs. A later write costs a second,
    /// ordinary fault.
    ///
    /// - Parameters:
    ///   - range: page-aligned and within one registered mapping.
    ///   - options: see ``ZeroOptions``.
    public borrowing func zero(_ range: AddressRange, options: ZeroOptions = []) -> Outcome {
        Kernel.zero(fileDescriptor, range, options.rawValue)
    }

    /// Makes accesses of missing pages fail: `SIGBUS` for the thread, `EFAULT` for a system call:
    /// `UFFDIO_POISON` (6.6). The right answer where the contents cannot be had. A later
    /// ``copy(from:to:options:)`` heals the page.
    ///
    /// - Parameters:
    ///   - range: page-aligned and within one registered mapping.
    ///   - options: see ``PoisonOptions``.
    public borrowing func poison(_ range: AddressRange, options: PoisonOptions = []) -> Outcome {
        Kernel.poison(fileDescriptor, range, options.rawValue)
    }

    /// Maps pages that are in the page cache already: `UFFDIO_CONTINUE` (5.13). Shared memory and
    /// hugetlbfs only.
    ///
    /// - Parameters:
    ///   - range: page-aligned and within one registered mapping.
    ///   - options: see ``ContinueOptions``.
    /// - Returns: ``Outcome/failed(_:)`` with `EFAULT` where the page cache has no page, `EINVAL`
    ///   beyond the end of the file.
    public borrowing func mapExisting(_ range: AddressRange, options: ContinueOptions = []) -> Outcome {
        Kernel.mapExisting(fileDescriptor, range, options.rawValue)
    }

    /// Takes the pages at `source` away from there and installs them in `range`, without copying:
    /// `UFFDIO_MOVE` (6.8). Private anonymous memory of one process only.
    ///
    /// - Parameters:
    ///   - source: page-aligned; becomes a hole.
    ///   - range: page-aligned, within one mapping registered with this descriptor, with the same
    ///     protection as the source.
    ///   - options: see ``MoveOptions``.
    /// - Returns: ``Outcome/failed(_:)`` with `EBUSY` where a source page is shared (after a fork,
    ///   until written again) or pinned: copy instead. `EINVAL` also where the process is gone.
    ///   ``Outcome/gone(_:)`` also where the source has a hole.
    public borrowing func move(
        from source: UInt, to range: AddressRange, options: MoveOptions = []
    ) -> Outcome {
        Kernel.move(fileDescriptor, source, range, options.rawValue)
    }

    /// Write-protects a range, or lifts the protection: `UFFDIO_WRITEPROTECT` (5.7). Doing it twice
    /// is harmless.
    ///
    /// - Parameters:
    ///   - range: page-aligned and registered with ``RegistrationModes/writeProtect``.
    ///   - options: ``WriteProtectOptions/protect``, or none to lift the protection and wake.
    /// - Returns: never ``Outcome/partial(bytesDone:)`` nor ``Outcome/exists``. After
    ///   ``Outcome/gone(_:)`` the front of the range may be changed.
    public borrowing func writeProtect(_ range: AddressRange, options: WriteProtectOptions) -> Outcome {
        Kernel.writeProtect(fileDescriptor, range, options.rawValue)
    }
}
