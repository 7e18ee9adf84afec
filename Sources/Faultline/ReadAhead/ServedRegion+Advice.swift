internal import EventReactor

extension ServedRegion {
    /// Says how the region will be read from now on (what madvise(2) says about ordinary memory). Without a
    /// ``ReadAheadPolicy`` in the region's options it has no effect. Any thread; does not block.
    public func advise(_ advice: AccessAdvice) {
        let number = self.number
        let core = pager.core
        pager.reactor.execute { core.value.advise(advice, number) }
    }
}
