import Userfault

extension PagerCore {
    /// Keeps the map of the regions true. None of these is asked for unless the descriptor was opened with the feature.
    func apply(_ event: Event) {
        switch event {
        case .fault:
            return
        case .fork(let descriptor):
            // Nobody serves the child: its pages must not wait for us.
            Userfaultfd(adopting: descriptor, features: []).close()
        case .remove(let range):
            forgetPresent(range)
        case .unmap(let range):
            forgetPresent(range)
            wake(range)
        case .remap(let from, _, let byteCount):
            let range = AddressRange(start: from, byteCount: byteCount)
            forgetPresent(range)
            wake(range)
        case .unknown(let code):
            report(PagerError(.kernel, "the kernel sent an event of an unknown kind (\(code))"))
        }
    }

    private func forgetPresent(_ range: AddressRange) {
        for region in regions.values {
            guard let part = region.range.intersection(range) else { continue }
            region.table.forgetPresent(region.pages(of: part))
        }
    }
}
