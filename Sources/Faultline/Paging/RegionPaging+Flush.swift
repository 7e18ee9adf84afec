import EventReactor
import Userfault

/// A flush of a region under way. Loop's thread only.
final class RegionFlush {
    var progress: FlushProgress
    /// What the last failed write of it threw.
    var error: (any Error)?
    /// Set while the store makes durable what this flush has written.
    var isSynchronizing = false
    private var completion: ((Result<Void, PagerError>) -> Void)?

    init(_ paging: RegionPaging, _ completion: @escaping (Result<Void, PagerError>) -> Void) {
        progress = FlushProgress(paging.residency, lastWrite: paging.lastWrite)
        self.completion = completion
    }

    func end(_ result: Result<Void, PagerError>) {
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }
}

extension RegionPaging {
    /// Writes everything that differs from the store now, and has the store make it durable.
    func flush(_ completion: @escaping (Result<Void, PagerError>) -> Void) {
        flushes.append(RegionFlush(self, completion))
        pump()
    }

    /// Has the store make durable what the flushes that have all they need written have brought there: one call for all of them,
    /// and one at a time, since a store tells of a loss only once.
    func advanceFlushes() {
        guard unsynchronized == nil, flushes.contains(where: { $0.progress.isComplete }) else { return }
        for flush in flushes { flush.isSynchronizing = flush.progress.isComplete }
        unsynchronized = WrittenPages(residency.takeUnflushed())
        let box = LoopBound(self, on: core.reactor)
        Task(executorPreference: writers) { [store, reactor = core.reactor] in
            do {
                try await store.flush()
                reactor.execute { box.value.synchronized(nil) }
            } catch {
                reactor.execute { box.value.synchronized(error) }
            }
        }
    }

    private func synchronized(_ error: (any Error)?) {
        guard !isRetired, let written = unsynchronized else { return }
        unsynchronized = nil
        core.statistics.flushes += 1
        if let error { core.storeHasLost(besides: self, error) }
        if let error = error ?? foreignError {
            foreignError = nil
            lost(written.pages, error)
        } else {
            let done = flushes.filter(\.isSynchronizing)
            flushes.removeAll(where: \.isSynchronizing)
            for flush in done {
                let failed = flush.progress.failed.map { region.range(of: $0) }
                flush.end(failed.isEmpty ? .success(()) : .failure(.notWritten(failed, flush.error)))
            }
        }
        pump()
        if core.lifecycle == .draining { core.closeIfDrained() }
    }

    /// The store may have lost what was written to it. What still is in memory of it is written anew; the flushes that have counted
    /// on it fail.
    private func lost(_ pages: borrowing PageSet, _ error: any Error) {
        residency.flushFailed(pages)
        let failed = flushes
        flushes = []
        for flush in failed {
            var rest = flush.progress.unfinished
            rest.formUnion(pages)
            flush.end(.failure(.notWritten(rest.runs.map { region.range(of: $0) }, error)))
        }
    }

    /// The store has failed to make durable what another region has written to it; it does not say what it has lost.
    func storeHasLost(_ error: any Error) {
        if unsynchronized != nil {
            foreignError = error
        } else {
            lost(residency.takeUnflushed(), error)
        }
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
