#if Logging
    public import Faultline
    public import Logging

    extension Pager.Configuration {
        /// Has every failure to supply pages, and every change of the address space, written to a logger of swift-log, besides what
        /// is told already: failures as warnings, as errors where the pager stops, changes as debug messages.
        ///
        /// A task in Swift's pool gives the messages to the logger, never the reactor's thread: a log handler may block, and may write
        /// from memory that is served. It ends with the last copy of the configuration, that of the pager included. If it
        /// does not keep up, the oldest of more than 1024 messages are lost. With the package trait `Logging`.
        ///
        /// - Parameter logger: where to.
        public mutating func log(to logger: Logger) {
            let lines = LogLines(to: logger)
            let name = self.name
            let failed = onFailure
            onFailure = { failure in
                failed?(failure)
                lines.add(
                    failure.action == .stopped ? .error : .warning, "pages could not be supplied",
                    [
                        "pager": "\(name)", "region": "\(failure.region)", "range": "\(failure.range)",
                        "error": "\(failure.error)", "failures": "\(failure.failures)",
                        "action": "\(failure.action)",
                    ])
            }
            let changed = onChange
            onChange = { change in
                changed?(change)
                lines.add(
                    .debug, "the address space has changed", ["pager": "\(name)", "change": "\(change)"])
            }
        }
    }

    /// Messages on their way to a logger.
    private final class LogLines: Sendable {
        private let source: AsyncStream<(Logger.Level, Logger.Message, Logger.Metadata)>.Continuation

        init(to logger: Logger) {
            let (lines, source) = AsyncStream.makeStream(
                of: (Logger.Level, Logger.Message, Logger.Metadata).self,
                bufferingPolicy: .bufferingNewest(1024))
            self.source = source
            Task {
                for await (level, message, metadata) in lines {
                    logger.log(level: level, message, metadata: metadata)
                }
            }
        }

        // The stream does not end by itself when nobody can add to it any more.
        deinit { source.finish() }

        func add(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata) {
            source.yield((level, message, metadata))
        }
    }
#endif
