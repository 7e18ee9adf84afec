#if ServiceLifecycle
    public import Faultline
    public import ServiceLifecycle

    /// A pager as a `Service` of swift-service-lifecycle: it runs until the group shuts down gracefully or its task is cancelled,
    /// and then finishes what is in flight, no longer than a deadline.
    ///
    /// With the package trait `ServiceLifecycle`.
    public struct PagerService: Service {
        private let pager: Pager
        private let deadline: Duration

        /// Any thread.
        ///
        /// - Parameters:
        ///   - pager: one that serves already.
        ///   - deadline: as in `Pager.shutdown(within:)`.
        public init(_ pager: Pager, shutdownWithin deadline: Duration = .seconds(5)) {
            self.pager = pager
            self.deadline = deadline
        }

        /// Returns when the pager has shut down.
        ///
        /// - Throws: `PagerError` when it stopped by itself.
        public func run() async throws {
            let end: @Sendable () -> Void = { Task { await pager.shutdown(within: deadline) } }
            try await withTaskCancellationHandler {
                try await withGracefulShutdownHandler {
                    try await pager.waitUntilStopped()
                } onGracefulShutdown: {
                    end()
                }
            } onCancel: {
                end()
            }
        }
    }
#endif
