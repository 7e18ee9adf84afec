#if Metrics
    public import CoreMetrics
    public import Faultline
    import Metrics

    /// Hands what a pager counts on to swift-metrics: counters grow by what was counted since the last time, gauges are set.
    ///
    /// Names and labels are those of ``MetricsPage``. With the package trait `Metrics`.
    public actor MetricsReporter {
        private let pager: Pager
        private let name: String
        private let factory: any MetricsFactory
        private var last: PagerStatistics?

        /// Any thread.
        ///
        /// - Parameters:
        ///   - pager: whose counters.
        ///   - name: the value of the dimension `pager`.
        ///   - factory: where metrics are made; that of the process by default.
        public init(_ pager: Pager, name: String, factory: any MetricsFactory = MetricsSystem.factory) {
            self.pager = pager
            self.name = name
            self.factory = factory
        }

        /// Reports once.
        public func report() async {
            let now = await pager.statistics
            for metric in PagerMetric.all {
                let dimensions = [("pager", name)] + metric.labels.map { ($0.key, $0.value) }
                switch metric.kind {
                case .counter:
                    let grown = now[keyPath: metric.value] - (last?[keyPath: metric.value] ?? 0)
                    if grown > 0 {
                        Counter(label: metric.name, dimensions: dimensions, factory: factory).increment(
                            by: grown)
                    }
                case .gauge:
                    Gauge(label: metric.name, dimensions: dimensions, factory: factory).record(
                        now[keyPath: metric.value])
                }
            }
            last = now
        }

        /// Reports again and again, until the task is cancelled; once more at the end.
        ///
        /// - Parameter interval: how long to wait in between.
        public func run(every interval: Duration = .seconds(10)) async {
            while !Task.isCancelled {
                await report()
                try? await Task.sleep(for: interval)
            }
            await report()
        }
    }
#endif
