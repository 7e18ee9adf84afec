#if Logging
    public import Faultline
    public import Logging

    extension Pager.Configuration {
        /// Has every failure to supply pages, and every change of the address space, written to a logger of swift-log, besides what
        /// is told already: failures as warnings, as errors where the pager stops, changes as debug messages.
        ///
        /// Messages are given to the logger on a thread of its own making, never on the reactor's: a log handler may block, and may write
        /// from memory that is served. With the package trait `Logging`.
        ///
        /// - Parameter logger: where to.
        public mutating func log(to logger: Logger) {
            let (messages, source) = AsyncStream.makeStream(
                of: (Logger.Level, Logger.Message, Logger.Metadata).self,
                bufferingPolicy: .bufferingNewest(1024))
            Task {
                for await (level, message, metadata) in messages {
                    logger.log(level: level, message, metadata: metadata)
                }
            }
            let name = self.name
            let failed = onFailure
            onFailure = { failure in
                failed?(failure)
                source.yield(
                    (
                        failure.action == .stopped ? .error : .warning, "pages could not be supplied",
                        [
                            "pager": "\(name)", "region": "\(failure.region)", "range": "\(failure.range)",
                            "error": "\(failure.error)", "failures": "\(failure.failures)",
                            "action": "\(failure.action)",
                        ]
                    ))
            }
            let changed = onChange
            onChange = { change in
                changed?(change)
                source.yield(
                    (.debug, "the address space has changed", ["pager": "\(name)", "change": "\(change)"]))
            }
        }
    }
#endif
