import EventReactor
import Userfault

/// A flush of a region under way. Loop's thread only.
final class RegionFlush {
    var progress: FlushProgress
    /// What the last failed write of it threw.
    var error: (any Error)?
    /// Set while the store is flushed: what that makes durable.
    var isSynchronizing = false
    private var completion: ((Result<Void, PagerError>) -> Void)?

    init(_ paging: RegionPaging, _ completion: @escaping (Result<Void, PagerError>) -> Void) {
        progress = FlushProgress(paging.residency, lastWrite: paging.lastWrite)
        self.completion = completion
    }

    /// Whether somebody still waits for it.
    var isAwaited: Bool { completion != nil }

    func end(_ result: Result<Void, PagerError>) {
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }
}

extension RegionPaging {
    /// Writes everything that differs from the store now, and has the store make it durable.
    @discardableResult
    func flush(_ completion: @escaping (Result<Void, PagerError>) -> Void) -> RegionFlush {
        let flush = RegionFlush(self, completion)
        flushes.append(flush)
        pump()
        advanceFlushes(nil)
        return flush
    }

    /// Goes on with the flushes that have all they need written. `error`: of the write that has just ended.
    func advanceFlushes(_ error: (any Error)?) {
        for flush in flushes {
            if let error, !flush.progress.failed.isEmpty { flush.error = error }
            guard flush.progress.isComplete, !flush.isSynchronizing else { continue }
            synchronize(flush)
        }
    }

    private func synchronize(_ flush: RegionFlush) {
        flush.isSynchronizing = true
        let written = LoopBound(WrittenPages(residency.takeUnflushed()), on: core.reactor)
        let box = LoopBound(self, on: core.reactor)
        let flushBox = LoopBound(flush, on: core.reactor)
        Task(executorPreference: writers) { [store, reactor = core.reactor] in
            do {
                try await store.flush()
                reactor.execute { box.value.synchronized(flushBox.value, written.value, nil) }
            } catch {
                reactor.execute { box.value.synchronized(flushBox.value, written.value, error) }
            }
        }
    }

    private func synchronized(_ flush: RegionFlush, _ written: WrittenPages, _ error: (any Error)?) {
        guard !isRetired else { return }
        flushes.removeAll { $0 === flush }
        core.statistics.flushes += 1
        if let error {
            residency.flushFailed(written.pages)
            flush.end(.failure(.notWritten(written.pages.runs.map { region.range(of: $0) }, error)))
        } else if flush.progress.failed.isEmpty {
            flush.end(.success(()))
        } else {
            let ranges = flush.progress.failed.map { region.range(of: $0) }
            flush.end(.failure(.notWritten(ranges, flush.error)))
        }
        if core.lifecycle == .draining { core.closeIfDrained() }
    }

    /// Brings everything to the store before the region goes: again while threads still write to it, but not for ever.
    func settle(rounds: Int = 3, _ completion: @escaping (PagerError?) -> Void) {
        flush { [weak self] result in
            switch result {
            case .failure(let error): completion(error)
            case .success:
                guard let self, !isRetired, hasUnwritten else { return completion(nil) }
                guard rounds > 1 else { return completion(.notWritten(unwritten, nil)) }
                settle(rounds: rounds - 1, completion)
            }
        }
    }
}

/// Holds a set that cannot be copied.
final class WrittenPages {
    let pages: PageSet
    init(_ pages: consuming PageSet) { self.pages = pages }
}
