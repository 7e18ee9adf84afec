internal import CInThread
internal import Userfault

/// A range whose faults arrive as SIGBUS, as the signal handler knows it.
///
/// `@unchecked`: the pointer never changes; the loop's thread calls, and what signal handlers read meanwhile is atomic.
@safe
final class InThreadRegion: @unchecked Sendable {
    /// What threads use that are in the middle of a fault: kept until none of them is.
    private final class Remains {
        let mapping: Mapping
        let kernel: any FaultKernel
        var source: PageSource?

        init(_ mapping: Mapping, _ kernel: any FaultKernel) {
            self.mapping = mapping
            self.kernel = kernel
        }
    }

    let range: AddressRange
    let pageSize: Int
    let modes: RegistrationModes
    private let region: OpaquePointer
    private let remains: Remains

    /// Catches the faults of `mapping` from now on; they go to `queue`.
    init(
        _ mapping: Mapping, pageSize: Int, modes: RegistrationModes, kernel: any FaultKernel,
        queue: HandoverQueue
    ) throws(SystemFailure) {
        range = mapping.range
        self.pageSize = pageSize
        self.modes = modes
        unsafe region = try queue.add(mapping.range, pageSize: pageSize, descriptor: kernel.fileDescriptor)
        remains = Remains(mapping, kernel)
    }

    /// Lets threads resolve faults themselves. Once.
    func allow(_ plan: InThreadPlan) {
        var may: Int = 0
        if plan.mapsExisting { may |= cinthread_maps_existing }
        if plan.copies { may |= cinthread_copies }
        if plan.zeroes { may |= cinthread_zeroes }
        remains.source = plan.owner
        var copy = cinthread_plan(
            may: UInt32(may), pages_per_fault: UInt32(clamping: plan.pagesPerFault),
            source: UInt64(plan.source.start), source_length: UInt64(plan.source.byteCount))
        unsafe cinthread_allow(region, &copy)
    }

    /// Stops that; threads sleep from now on. Waits a moment for those that are installing a page.
    func close() { _ = unsafe cinthread_close(region) }

    /// Ends the catching and wakes who sleeps. What threads may still use goes when they are done.
    func remove() {
        let context = unsafe Unmanaged.passRetained(remains).toOpaque()
        unsafe cinthread_remove(region, releaseRemains, context)
    }

    fileprivate static func release(_ context: UnsafeMutableRawPointer) {
        unsafe Unmanaged<Remains>.fromOpaque(context).release()
    }

    /// Calls `body` with each run of pages of `range` that threads installed and that nobody else keeps account of.
    func forEachInstalled(in range: AddressRange, _ body: (Range<Int>) -> Void) {
        let pages = self.pages(of: range)
        var next = pages.lowerBound
        while next < pages.upperBound {
            let run = unsafe cinthread_next_installed(region, UInt64(next))
            guard run.count > 0, run.first < UInt64(pages.upperBound) else { return }
            next = min(Int(run.first + run.count), pages.upperBound)
            body(Int(run.first)..<next)
        }
    }

    /// The pages of `range` are somebody else's to keep account of.
    func forgetInstalled(_ range: AddressRange) {
        let pages = self.pages(of: range)
        unsafe cinthread_forget_installed(region, UInt64(pages.lowerBound), UInt64(pages.count))
    }

    /// The pages of `range` will never be supplied: they are poisoned, or replaced by other memory.
    func withhold(_ range: AddressRange, isSealed: Bool) {
        let pages = self.pages(of: range)
        unsafe cinthread_withhold(region, UInt64(pages.lowerBound), UInt64(pages.count), isSealed)
    }

    var counts: InThreadCounts {
        let counts = unsafe cinthread_count(region)
        return InThreadCounts(
            resolutions: Int(counts.resolutions), pages: Int(counts.pages), present: Int(counts.present),
            bytes: Int(counts.pages) * pageSize)
    }

    private func pages(of range: AddressRange) -> Range<Int> {
        let first = Int(range.start - self.range.start) / pageSize
        return first..<first + range.byteCount / pageSize
    }
}

private func releaseRemains(_ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe InThreadRegion.release(context)
}
