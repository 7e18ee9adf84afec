public import Userfault

/// A failure to supply pages, as told to the owner of the pager through ``Pager/Configuration/onFailure``.
public struct FaultFailure: Sendable {
    /// What was done about it.
    public enum Action: Hashable, Sendable {
        /// The handler will be asked again after this pause; or pages will be written to their store again, and stay in memory
        /// until they are.
        case retrying(after: Duration)
        /// The pages are poisoned: their threads get SIGBUS.
        case poisoned
        /// The pages, to which somebody writes, are there and protected: the write was let through.
        case unprotected
        /// Nobody was seen waiting for all of the pages: those that are filled ahead of time are asked for again when somebody
        /// does. What becomes of the others, if there are any, is told separately.
        case abandoned
        /// The pager stops.
        case stopped
        /// The range went away by itself (unmapped); its threads have been woken.
        case dropped
    }

    /// The region's name, or the pager's for a failure that concerns no region.
    public let region: String
    /// The pages concerned; empty when it is none in particular.
    public let range: AddressRange
    /// What the handler threw, or what the pager or the kernel refused (``PagerError``).
    public let error: any Error
    /// How often it has failed, this time included.
    public let failures: Int
    /// What was done about it.
    public let action: Action
}
