import EventReactor
import Faultline
import Glibc

/// Takes images of the region, one at a time.
actor Saver {
    /// How it went so far.
    struct Status: Sendable {
        var isUnderWay = false
        /// When the last image was complete, in seconds since 1970; at first, when the program started.
        var lastSave = time(nil)
        var count = 0
        var lastFailure: String?
        var lastReport: Report?
    }

    /// What an image took.
    struct Report: Sendable {
        var pages: Int
        /// How long all commands may have waited for the instant that it shows, by the pager's report.
        var lastPass: Duration
        /// The longest that a write was held up, as far as the server can tell.
        var longestHold: Duration
        var total: Duration
    }

    typealias Outcome = Result<Report, any Error>

    private(set) var status = Status()
    private let region: Region
    private let data: DataThread
    private let loader: Loader
    /// nil: without a fork.
    private let forked: ForkedSaver?
    private let path: String
    private let log: @Sendable (String) -> Void
    private var current: Task<Outcome, Never>?

    init(
        _ region: Region, _ data: DataThread, _ loader: Loader, _ method: SavingMethod, path: String,
        log: @escaping @Sendable (String) -> Void
    ) throws(ReactorError) {
        forked = method == .fork ? try ForkedSaver(region, data, path: path) : nil
        self.region = region
        self.data = data
        self.loader = loader
        self.path = path
        self.log = log
    }

    /// Begins an image, unless one is being taken.
    ///
    /// - Returns: a task that ends when it has its name; nil if another one is under way.
    func begin() -> Task<Outcome, Never>? {
        guard !status.isUnderWay else { return nil }
        status.isUnderWay = true
        let task = Task { await save() }
        current = task
        return task
    }

    /// Waits until none is being taken, and takes one of what there is then.
    func saveLast() async -> Outcome {
        while true {
            if let task = begin() { return await task.value }
            await waitUntilIdle()
        }
    }

    /// Waits until none is being taken.
    func waitUntilIdle() async { _ = await current?.value }

    private func save() async -> Outcome {
        // Pages that are not in the old image have never been written to, once all of it is loaded.
        let isLoaded = await loader.start().value
        let outcome: Outcome
        do {
            let report =
                if let forked { try await saveByFork(forked, isLoaded) } else { try await saveLive(isLoaded) }
            outcome = .success(report)
            status.count += 1
            status.lastSave = time(nil)
            status.lastReport = report
            status.lastFailure = nil
            log(
                "saved \(report.pages) pages to \(path) in \(report.total.microseconds / 1000) ms; "
                    + "a write waited for \(report.longestHold.microseconds) µs at most")
        } catch {
            outcome = .failure(error)
            status.lastFailure = "\(error)"
            log("no image was saved: \(error)")
        }
        status.isUnderWay = false
        return outcome
    }

    private func saveLive(_ isLoaded: Bool) async throws -> Report {
        let target = SnapshotFile(path: path, isSparse: true, synchronizes: true)
        let options = SnapshotOptions(
            missingPages: isLoaded ? .skip : .supply,
            pauseWriters: { [data] in await data.pause() }, resumeWriters: { [data] in data.resume() })
        let report = try await region.snapshot(to: target, options: options)
        return Report(
            pages: report.savedPages, lastPass: report.lastPass, longestHold: report.longestHold,
            total: report.total)
    }

    private func saveByFork(_ forked: ForkedSaver, _ isLoaded: Bool) async throws -> Report {
        guard isLoaded else {
            throw ForkedImageError("a child can load nothing, and the image is not loaded")
        }
        return try await forked.save()
    }
}

extension Duration {
    /// Whole microseconds.
    var microseconds: Int {
        Int(components.seconds) * 1_000_000 + Int(components.attoseconds / 1_000_000_000_000)
    }
}
