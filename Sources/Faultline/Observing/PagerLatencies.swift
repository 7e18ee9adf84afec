internal import EventReactor

/// Where the time of faults goes, from ``Pager/latencies``. A value is a copy: it does not change any more.
///
/// What the kernel takes from the fault to the message, and from the wake until the thread runs, is not in it: nobody in
/// user space can see that.
public struct PagerLatencies: Hashable, Sendable {
    /// From the read(2) that brought the message to the call of the handler: for each first request of a fault.
    public internal(set) var queue = LatencyHistogram()
    /// From the call of the handler to its answer, synchronous or not, retries and prefetches included: for each request.
    public internal(set) var store = LatencyHistogram()
    /// In the ioctls that resolve: for each call.
    public internal(set) var ioctls = LatencyHistogram()
    /// From the first ioctl that held its wakes back to the end of the `UFFDIO_WAKE` that made up for it. Where the ioctls wake
    /// by themselves there is nothing to count.
    public internal(set) var wake = LatencyHistogram()

    /// Nothing recorded yet.
    public init() {}

    /// Adds what another pager has recorded: see ``PagerGroup``.
    public mutating func add(_ other: PagerLatencies) {
        queue.add(other.queue)
        store.add(other.store)
        ioctls.add(other.ioctls)
        wake.add(other.wake)
    }
}

extension Pager {
    /// Where the time of faults went so far; nil unless ``Configuration/measuresLatency`` is set. Any thread; goes to the
    /// reactor's thread and back. After the pager has closed it is what was recorded until then.
    public var latencies: PagerLatencies? {
        get async {
            await reactor.run { [core] in core.value.latency?.values }
        }
    }
}
