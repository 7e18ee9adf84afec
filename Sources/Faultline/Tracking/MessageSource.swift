import EventReactor
import Userfault

/// The tracking that the pager does on its loop.
final class MessageSource: DirtySource {
    private let reactor: Reactor
    private let tracking: LoopBound<DirtyTracking>
    /// Ends with the tracking, where it was made for it.
    private let ownPager: Pager?

    init(_ reactor: Reactor, _ tracking: LoopBound<DirtyTracking>, ownPager: Pager? = nil) {
        self.reactor = reactor
        self.tracking = tracking
        self.ownPager = ownPager
    }

    func collect() async throws(PagerError) -> [AddressRange] {
        let result = await withCheckedContinuation { continuation in
            reactor.execute { [tracking] in
                tracking.value.collect { continuation.resume(returning: $0) }
            }
        }
        return try result.get()
    }

    func peek() async throws(PagerError) -> [AddressRange] {
        try await reactor.run { () throws(PagerError) in try tracking.value.peek() }
    }

    func stop() async {
        await withCheckedContinuation { continuation in
            reactor.execute { [tracking] in tracking.value.stop { continuation.resume() } }
        }
        await ownPager?.shutdown(within: .zero)
    }

    // A pager of its own is shut down when it is let go of.
    func end() {
        reactor.execute { [tracking] in tracking.value.stop {} }
    }
}

extension Region {
    func startTracking() async throws(PagerError) -> DirtyTracker {
        let isAsynchronous = pager.features.contains(.asynchronousWriteProtect)
        let scanner = isAsynchronous ? try PagemapReader() : nil
        let messages = MessageSource(pager.reactor, try await pager.startTracking(number))
        guard let scanner else {
            return DirtyTracker(engine: .messages, range: range, pageSize: pageSize, source: messages)
        }
        // Where the handler supplies what is missing, an empty page is not a written one.
        let source = ScanSource(
            scanner, range, seesEmptyPages: !modes.contains(.missing), registration: .pager(messages),
            mapping: mapping)
        return DirtyTracker(engine: .asynchronous, range: range, pageSize: pageSize, source: source)
    }
}

extension Pager {
    func startTracking(_ number: UInt64) async throws(PagerError) -> LoopBound<DirtyTracking> {
        let result = await withCheckedContinuation { continuation in
            reactor.execute { [core] in
                core.value.startTracking(number) { continuation.resume(returning: $0) }
            }
        }
        return try result.get()
    }
}
