public import Userfault

/// A range of another process's memory that is to be served, and how: see
/// ``Pager/init(on:adopting:_:process:configuration:)``.
public struct AdoptableRange: Sendable {
    /// Who registers a range with the descriptor.
    public enum Registration: Hashable, Sendable {
        /// The pager, when it takes the range into service (`UFFDIO_REGISTER`).
        case byPager
        /// The process itself, before or after the range is taken into service, for the region's modes: some must first
        /// put their memory where it belongs. Until it has, nobody faults there; pages that a prefetch has ready are dropped,
        /// which ``Pager/Configuration/onFailure`` is told, and can be had later. What the kernel offers for the memory is
        /// expected rather than known; what it refuses is a failure. When the pager stops, it closes its descriptor and
        /// unregisters nothing: a process that has kept a copy of the descriptor has to do that itself, or to close it.
        case byPeer
    }

    /// Addresses in the other process, multiples of its page size.
    public var range: AddressRange
    /// What the memory is made of there; decides what may be done to its pages.
    public var memory: MemoryKind
    /// The size of its pages in bytes; nil for the system's, or 2 MiB for huge pages.
    public var pageSize: Int?
    /// What the first page is to the handler, in bytes (``FaultRequest/offset``); not negative.
    public var offset: Int
    /// Who registers it.
    public var registration: Registration
    /// Supplies the pages, from memory of this process.
    public var handler: any FaultHandler
    /// Name, failure policy, limits and modes.
    public var options: RegionOptions

    /// A range with defaults. The parameters are the properties of the same names. Any thread; does nothing.
    public init(
        _ range: AddressRange, memory: MemoryKind = .privateAnonymous, pageSize: Int? = nil, offset: Int = 0,
        registration: Registration = .byPager, handler: any FaultHandler,
        options: RegionOptions = RegionOptions()
    ) {
        self.range = range
        self.memory = memory
        self.pageSize = pageSize
        self.offset = offset
        self.registration = registration
        self.handler = handler
        self.options = options
    }
}
