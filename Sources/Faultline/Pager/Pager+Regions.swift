internal import EventReactor
public import Userfault

extension Pager {
    /// Maps fresh private memory of `byteCount` bytes, rounded up to pages, whose contents come from `handler`. Any
    /// thread; goes to the reactor's thread and back (mmap(2), `UFFDIO_REGISTER`). Memory is used by pages that were
    /// supplied, and by a few bits for each page.
    ///
    /// - Parameters:
    ///   - byteCount: the length in bytes.
    ///   - handler: supplies the pages.
    ///   - options: name, failure policy and limits.
    /// - Throws: ``PagerError`` when the length is not positive, or the kernel refuses memory or registration
    ///   (`UFFDIO_REGISTER`).
    public func map(
        byteCount: Int, handler: any FaultHandler, options: RegionOptions = RegionOptions()
    ) async throws(PagerError) -> Region {
        try await onCore { core, pager throws(PagerError) in
            Region(
                state: try core.map(byteCount: byteCount, handler: handler, options: options), pager: pager)
        }
    }

    /// Maps `memory` as a region whose contents come from `handler`: with minor faults, the pages that the handler put in
    /// place through `memory` itself are mapped without being copied.
    ///
    /// - Parameters:
    ///   - memory: shared memory, of ordinary or huge pages.
    ///   - isPrivate: whether writes to the region stay in it (`MAP_PRIVATE`).
    ///   - handler: supplies the pages.
    ///   - options: name, failure policy, limits and modes.
    /// - Throws: ``PagerError`` when the kernel refuses the mapping or the registration (`UFFDIO_REGISTER`).
    public func map(
        _ memory: SharedMemory, isPrivate: Bool = false, handler: any FaultHandler,
        options: RegionOptions = RegionOptions()
    ) async throws(PagerError) -> Region {
        try await onCore { core, pager throws(PagerError) in
            Region(
                state: try core.map(memory, isPrivate: isPrivate, handler: handler, options: options),
                pager: pager)
        }
    }

    /// Write-protects the pages of `range`, or of the whole region: the next write to each brings a request of kind
    /// `writeProtect` (`UFFDIO_WRITEPROTECT`, 5.7). The region's modes must include `writeProtect`. Pages of memory that
    /// the pager mapped for a handler that supplies them (mode `missing`) are protected if they are there; one that comes later
    /// comes as its handler says (``Resolution/writeProtected()``). Elsewhere pages that are not there are protected as well; in
    /// private memory since Linux 6.4.
    ///
    /// - Parameters:
    ///   - region: a region of this pager.
    ///   - range: whole pages of it, as addresses; nil for all.
    /// - Throws: ``PagerError``: not pages of the region, not a region for it, or refused by the kernel.
    public func protect(_ region: Region, _ range: AddressRange? = nil) async throws(PagerError) {
        try await protect(range ?? region.range, of: number(of: region))
    }

    func protect(_ pages: AddressRange, of number: UInt64) async throws(PagerError) {
        while try await !onCore({ core, _ throws(PagerError) in try core.protect(pages, of: number) }) {
            // The address space is changing, for a moment.
            do { try await reactor.sleep(for: .microseconds(50)) } catch {
                throw PagerError(.reactor, "\(error)", range: pages)
            }
        }
    }

    /// Takes memory of the caller's into service: private anonymous, page-aligned, not overlapping any other region of
    /// this reactor. Pages that are there already stay as they are. Any thread; goes to the reactor's thread and back
    /// (`UFFDIO_REGISTER`).
    ///
    /// - Parameters:
    ///   - range: its addresses.
    ///   - handler: supplies the missing pages.
    ///   - options: name, failure policy and limits.
    /// - Warning: The memory must stay mapped until the region is unmapped or the pager has shut down. What was never
    ///   supplied by then is poisoned, where the kernel can (6.6).
    /// - Throws: ``PagerError``: misaligned, overlapping, or refused by the kernel.
    @unsafe
    public func register(
        unsafeMemoryAt range: AddressRange, handler: any FaultHandler,
        options: RegionOptions = RegionOptions()
    ) async throws(PagerError) -> Region {
        try await onCore { core, pager throws(PagerError) in
            Region(state: try core.register(range, handler: handler, options: options), pager: pager)
        }
    }

    func remove(_ numbers: [UInt64]) async throws(PagerError) {
        try await onCore { core, _ throws(PagerError) in try core.remove(numbers) }
    }

    func number(of region: Region) throws(PagerError) -> UInt64 {
        guard region.pager === self else { throw .notOfThisPager(region.range) }
        return region.number
    }
}
