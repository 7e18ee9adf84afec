import Userfault

extension PagerCore {
    /// Asks for the pages that threads wait for, and with them for those that are likely to be next.
    func askAhead(_ region: RegionState, cause: FaultCause, kernel: any FaultKernel) {
        if let paging = region.paging { return askPaged(region, paging, cause: cause, kernel: kernel) }
        var plan = region.changeWatch { $0.plan(cause.demand, in: region.table) }
        // Where pages were dropped or have gone, only what somebody waits for.
        if region.table.hasAltered(plan.window) { plan.window = cause.demand }
        askFirst(region, pages: plan.window, cause: cause, kernel: kernel)
        guard let strides = plan.strides else { return }
        for page in strides {
            guard lifecycle == .serving, region.table.isMissing(page), region.table.fate(page) == .asAnswered
            else { return }
            var cause = cause
            cause.demand = page..<page
            askFirst(region, pages: page..<page + 1, cause: cause, kernel: kernel)
        }
    }

    /// What is left of a region at the addresses that it was made for.
    func servedRegion(_ number: UInt64) -> RegionState? {
        guard let family = families[number] else { return nil }
        return family.members.first { $0.range == family.range && !$0.isClosed }
    }

    /// What the owner says about how a region will be read.
    func advise(_ advice: AccessAdvice, _ number: UInt64) {
        guard let region = servedRegion(number) else { return }
        region.changeWatch { watch in
            switch advice {
            case .normal: watch.readAhead.advice = .adaptive
            case .sequential: watch.readAhead.advice = .sequential
            case .random: watch.readAhead.advice = .random
            }
        }
    }
}
