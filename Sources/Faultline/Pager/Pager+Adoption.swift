public import EventReactor
public import Userfault

extension Pager {
    /// A pager for memory of another process: on a descriptor that this process was handed, and closes in the end. Any
    /// thread; goes to the reactor's thread and back. Any number of them may live on one reactor.
    ///
    /// Memory is taken into service with ``adopt(_:memory:pageSize:offset:registration:handler:options:)``. When the other process has
    /// exited, the pager stops with ``PagerError/Code/processExited``: at once if it is given a handle of it, else when the
    /// kernel refuses an answer (`ESRCH`). ``Adoption`` does all of this for memory that comes over a socket.
    ///
    /// Faults are read from the beginning; where the process may have some before you have adopted its memory, give that
    /// to ``init(on:adopting:_:process:configuration:)``.
    ///
    /// - Parameters:
    ///   - reactor: where faults are read and handlers run.
    ///   - descriptor: enabled (`UFFDIO_API`) by the process that made it, which is the one whose memory it serves.
    ///   - process: the one whose memory it is, watched on the same reactor; nil where it is not known.
    ///   - configuration: as for a pager of this process's memory; `reportsThreadIDs` has no effect, the descriptor's features
    ///     count.
    /// - Throws: ``PagerError`` when the process has exited already, its handle is of another reactor, the reactor has been
    ///   shut down, or the configuration asks for resolution in-thread.
    public convenience init(
        on reactor: Reactor, adopting descriptor: consuming Userfaultfd, process: ProcessHandle? = nil,
        configuration: Configuration = Configuration()
    ) async throws(PagerError) {
        try await self.init(
            on: reactor, adopting: descriptor, [], process: process, configuration: configuration)
    }

    /// As ``init(on:adopting:process:configuration:)``, with memory that is taken into service before the first fault is
    /// read, in the time of one call however many ranges there are. If one of them is refused, all is closed.
    ///
    /// - Parameters:
    ///   - reactor: where faults are read and handlers run.
    ///   - descriptor: enabled (`UFFDIO_API`) by the process that made it, which is the one whose memory it serves.
    ///   - memory: what is served.
    ///   - process: the one whose memory it is, watched on the same reactor; nil where it is not known.
    ///   - configuration: as for a pager of this process's memory; `reportsThreadIDs` and `events` have no effect, the
    ///     descriptor's features count.
    /// - Throws: ``PagerError`` as the other form, and when a range is misaligned, overlaps another, or is refused by the
    ///   kernel.
    public convenience init(
        on reactor: Reactor, adopting descriptor: consuming Userfaultfd, _ memory: [AdoptableRange],
        process: ProcessHandle? = nil, configuration: Configuration = Configuration()
    ) async throws(PagerError) {
        let access = descriptor.access
        try await self.init(
            on: reactor, kernel: KernelDescriptor(descriptor), access: access, configuration: configuration,
            isForeign: true
        ) { core throws(PagerError) in
            if let process { try core.watch(process) }
            try core.adopt(memory)
        }
    }

    /// Takes memory of the pager's process into service. Pages that are there already stay as they are. Any thread; goes
    /// to the reactor's thread and back (`UFFDIO_REGISTER`, unless the process does that; it has no effect where the process
    /// has registered the range for these modes already).
    ///
    /// - Parameters:
    ///   - range: addresses in the other process, multiples of its page size.
    ///   - memory: what the memory is made of there; decides what may be done to its pages.
    ///   - pageSize: in bytes; nil for the system's, or 2 MiB for huge pages.
    ///   - offset: what the first page is to the handler, in bytes (``FaultRequest/offset``).
    ///   - registration: who registers the range.
    ///   - handler: supplies the pages, from memory of this process.
    ///   - options: name, failure policy, limits and modes.
    /// - Throws: ``PagerError``: not a pager of another process's memory, misaligned, overlapping, or refused by the kernel.
    public func adopt(
        _ range: AddressRange, memory: MemoryKind = .privateAnonymous, pageSize: Int? = nil, offset: Int = 0,
        registration: AdoptableRange.Registration = .byPager, handler: any FaultHandler,
        options: RegionOptions = RegionOptions()
    ) async throws(PagerError) -> AdoptedRegion {
        let memory = AdoptableRange(
            range, memory: memory, pageSize: pageSize, offset: offset, registration: registration,
            handler: handler, options: options)
        return try await onCore { core, pager throws(PagerError) in
            AdoptedRegion(state: try core.adopt(memory), pager: pager)
        }
    }

    /// Takes a region out of service: its handlers' tasks are cancelled, pages that were never supplied raise SIGBUS
    /// from now on, threads that wait are let go (to find just that). Any thread; goes to the reactor's thread and back
    /// (`UFFDIO_POISON`, `UFFDIO_UNREGISTER`, `UFFDIO_WAKE`).
    ///
    /// - Parameter region: one of this pager's.
    /// - Throws: ``PagerError`` when the region is not one of this pager, or was released before.
    public func release(_ region: AdoptedRegion) async throws(PagerError) {
        guard region.pager === self else { throw .notOfThisPager(region.range) }
        let number = region.number
        try await onCore { core, _ throws(PagerError) in try core.remove([number]) }
    }
}
