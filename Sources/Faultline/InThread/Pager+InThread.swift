internal import EventReactor
internal import Userfault

extension Pager {
    /// What the pager asks in place of the descriptor itself, as the configuration wants it.
    static func kernel(
        _ descriptor: consuming Userfaultfd, _ configuration: Configuration
    ) throws(PagerError) -> any FaultKernel {
        let features = descriptor.features
        guard configuration.resolution == .inThread else {
            guard !features.contains(.sigbus) else {
                throw PagerError(
                    .unsupportedOperation,
                    "the descriptor raises SIGBUS instead of sending messages; set the configuration's resolution to .inThread"
                )
            }
            let kernel = KernelDescriptor(descriptor)
            guard !features.isDisjoint(with: .events) else { return kernel }
            do { return try RelayedKernel(kernel) } catch { throw PagerError(error) }
        }
        guard features.contains(.sigbus), features.isDisjoint(with: .events) else {
            throw PagerError(
                .unsupportedOperation,
                "to resolve in-thread the descriptor needs the feature sigbus, and none of \(Features.events); it has \(features)"
            )
        }
        do {
            return try InThreadKernel(
                KernelDescriptor(descriptor), namesThreads: configuration.reportsThreadIDs)
        } catch {
            throw PagerError(error)
        }
    }
}
