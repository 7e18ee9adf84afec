import Userfault

/// The pages of one region that were written. Loop's thread only.
final class DirtyTracking {
    private let watch: WriteWatch
    /// Written since the last collection. Unused where the kernel keeps count itself.
    var dirty: PageBitmap
    private var collectors: [(Result<[AddressRange], PagerError>) -> Void] = []
    private var pass: PagePass?
    private var isOver = false

    init(_ watch: WriteWatch) {
        self.watch = watch
        dirty = PageBitmap(pageCount: watch.region.table.pageCount)
    }

    /// Collects what was written and begins anew; one collection after the other.
    ///
    /// The pages written so far become the collection, and an empty set takes their place. Then they are protected
    /// again, a slice at a time; the rest of the region is protected already. When may a write get lost?
    ///
    /// - To a page of the collection that is not protected again yet: it goes unnoticed. But its page is in the
    ///   collection, which is handed out only after all of it is protected: whoever reads the page then sees the write.
    /// - To a page of the collection that is protected again, or to any other page: it brings a message, and the page goes into
    ///   the new set. That may be while the collection is still being protected; a page that was done is not done
    ///   again, so what is in the new set stays unprotected until the next collection.
    /// - By a thread whose processor still knows the page as writable: the call that protects returns after all
    ///   processors have forgotten that, so this is the first case.
    /// - Behind an unprotecting that is under way: there is none. Lifting the protection and noting the page is one step
    ///   of the loop, and so is taking the set.
    func collect(_ completion: @escaping (Result<[AddressRange], PagerError>) -> Void) {
        guard !isOver else { return completion(.failure(.trackingEnded())) }
        collectors.append(completion)
        if collectors.count == 1 { collectNext() }
    }

    private func collectNext() {
        let collected = dirty
        dirty = PageBitmap(pageCount: collected.pageCount)
        pass = watch.pass(.protect, collected, slice: .large) { [self] result in
            pass = nil
            // Written they were all the same: the next collection has them, protected or not.
            if case .failure = result { dirty.formUnion(collected) }
            guard !collectors.isEmpty else { return }
            let completion = collectors.removeFirst()
            if !collectors.isEmpty { collectNext() }
            completion(result)
        }
    }

    /// What was written so far, without beginning anew.
    func peek() throws(PagerError) -> [AddressRange] {
        guard !isOver else { throw .trackingEnded() }
        var ranges: [AddressRange] = []
        var page = 0
        while let run = dirty.nextRun(true, from: page, below: dirty.pageCount) {
            ranges.append(watch.region.range(of: run))
            page = run.upperBound
        }
        return ranges
    }

    /// Ends the tracking; calls `completion` when no page is protected because of it any more.
    func stop(_ completion: @escaping () -> Void) {
        guard !isOver else { return watch.whenAtRest(completion) }
        end()
        watch.mayBeProtected = true
        watch.tracking = nil
        // A snapshot under way still needs the protection, and lifts it in the end.
        if watch.snapshot == nil { watch.whenAtRest(completion) } else { completion() }
    }

    /// The region goes out of service, or the tracking ends.
    func end() {
        isOver = true
        // What comes next lifts protection.
        watch.abandon(pass)
        pass = nil
        let waiting = collectors
        collectors.removeAll()
        for completion in waiting { completion(.failure(.trackingEnded())) }
    }
}

extension PagerError {
    static func trackingEnded() -> PagerError {
        PagerError(
            .shutDown,
            "the tracking has ended: it was stopped, its region is out of service, or its memory was mapped anew"
        )
    }
}
