import Faultline
import Synchronization
import Userfault

/// Brings the rest of an image when the first client has been answered, behind all faults.
final class Loader: Sendable {
    private struct State {
        var task: Task<Bool, Never>?
        var pagesAtFirstReply: Int?
        var progress: PrefetchProgress?
        var isLoaded = false
    }

    private let region: Region
    /// What there is to load, in pages.
    let imagePages: Int
    private let log: @Sendable (String) -> Void
    private let state = Mutex(State())

    init(_ region: Region, imageByteCount: Int, log: @escaping @Sendable (String) -> Void) {
        self.region = region
        self.log = log
        imagePages = (imageByteCount + region.pageSize - 1) / region.pageSize
    }

    /// How many pages were there when the first command of a client had been carried out.
    var pagesAtFirstReply: Int? { state.withLock { $0.pagesAtFirstReply } }

    /// Whether nothing depends on the image any more.
    var isLoaded: Bool { imagePages == 0 || state.withLock { $0.isLoaded } }

    /// The part that has been asked for, from 0 to 1.
    var fraction: Double {
        imagePages == 0 ? 1 : state.withLock { $0.progress?.fraction ?? 0 }
    }

    /// To be called before each reply is sent.
    func willReply() async {
        guard pagesAtFirstReply == nil else { return }
        let present = await region.pager.statistics.presentPages
        state.withLock { if $0.pagesAtFirstReply == nil { $0.pagesAtFirstReply = present } }
    }

    /// Loads everything, if that is not under way. Any thread.
    ///
    /// - Returns: a task that ends with whether all is there.
    @discardableResult
    func start() -> Task<Bool, Never> {
        state.withLock { state in
            if let task = state.task { return task }
            let task = Task { await load() }
            state.task = task
            return task
        }
    }

    private func load() async -> Bool {
        guard imagePages > 0 else { return true }
        let begin = ContinuousClock.now
        let part = AddressRange(start: region.range.start, byteCount: imagePages * region.pageSize)
        do {
            let end = try await region.prefetch(part) { progress in
                self.state.withLock { $0.progress = progress }
            }
            guard end.failedPages == 0 else {
                log(
                    "\(end.failedPages) pages of the image could not be loaded yet: they are tried again when needed"
                )
                return false
            }
            state.withLock {
                $0.progress = end
                $0.isLoaded = true
            }
            log("the image is loaded, after \(begin.duration(to: .now).microseconds / 1000) ms")
            return true
        } catch {
            log("the image could not be loaded: \(error)")
            return false
        }
    }
}

/// Why there is no server that was to have all of its image first.
struct LoadingError: Error, CustomStringConvertible {
    let description = "The image could not be loaded: without --eager what can be read of it is served."
}
