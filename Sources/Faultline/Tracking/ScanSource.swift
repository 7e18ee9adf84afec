import EventReactor
import Userfault

/// The tracking that the kernel does by itself.
final class ScanSource: DirtySource {
    /// What keeps the range registered.
    enum Registration: Sendable {
        case pager(MessageSource)
        case own(KernelDescriptor)
        case ended
    }

    private let reader: PagemapReader
    private let range: AddressRange
    private let seesEmptyPages: Bool
    private let registration: Lock<Registration>
    private let mapping: Mapping?
    /// Pages that were reset by a scan whose collection failed later.
    private let unreported = Lock<[AddressRange]>([])

    init(
        _ reader: PagemapReader, _ range: AddressRange, seesEmptyPages: Bool, registration: Registration,
        mapping: Mapping?
    ) {
        self.reader = reader
        self.range = range
        self.seesEmptyPages = seesEmptyPages
        self.registration = Lock(registration)
        self.mapping = mapping
    }

    func collect() async throws(PagerError) -> [AddressRange] {
        try checkRegistration()
        var found = DirtyPages(sorted: [], pageSize: SystemPage.size)
        do throws(UserfaultfdError) {
            try reader.scan(range, resets: true, seesEmptyPages: seesEmptyPages) { found.append($0) }
        } catch {
            unreported.withLock { $0 += found.ranges }
            throw .scanFailed(error)
        }
        let earlier = unreported.withLock { ranges in
            defer { ranges.removeAll() }
            return ranges
        }
        if !earlier.isEmpty { found.formUnion(DirtyPages(earlier, pageSize: SystemPage.size)) }
        return found.ranges
    }

    func peek() async throws(PagerError) -> [AddressRange] {
        try checkRegistration()
        var found = DirtyPages(sorted: [], pageSize: SystemPage.size)
        do throws(UserfaultfdError) {
            try reader.scan(range, resets: false, seesEmptyPages: seesEmptyPages) { found.append($0) }
        } catch {
            throw .scanFailed(error)
        }
        let earlier = unreported.withLock { $0 }
        if !earlier.isEmpty { found.formUnion(DirtyPages(earlier, pageSize: SystemPage.size)) }
        return found.ranges
    }

    func stop() async {
        if case .pager(let source) = take() { await source.stop() }
    }

    func end() {
        if case .pager(let source) = take() { source.end() }
    }

    private func take() -> Registration {
        registration.withLock { registration in
            defer { registration = .ended }
            return registration
        }
    }

    private func checkRegistration() throws(PagerError) {
        let isOver = registration.withLock { registration in
            if case .ended = registration { true } else { false }
        }
        if isOver { throw .trackingEnded() }
    }
}

extension PagerError {
    /// The kernel says `EPERM` of memory that is not registered any more.
    fileprivate static func scanFailed(_ error: UserfaultfdError) -> PagerError {
        error.errno == .notPermitted ? .trackingEnded() : PagerError(error)
    }
}

/// An open pagemap of this process.
final class PagemapReader: Sendable {
    private let scanner: PagemapScanner

    init() throws(PagerError) {
        do throws(UserfaultfdError) {
            scanner = try PagemapScanner()
        } catch {
            throw PagerError(error)
        }
    }

    /// Calls `body` with the ranges that were written, in ascending order.
    ///
    /// To the kernel each page without protection is written, and so is one that is empty: dropped since it was protected,
    /// or never there. `seesEmptyPages`: whether those are wanted.
    func scan(
        _ range: AddressRange, resets: Bool, seesEmptyPages: Bool, _ body: (AddressRange) -> Void
    ) throws(UserfaultfdError) {
        try scan(
            range, requiring: .written, anyOf: seesEmptyPages ? [] : [.present, .swapped],
            returning: .written,
            options: resets
                ? [.writeProtectMatching, .requireAsynchronousWriteProtect]
                : .requireAsynchronousWriteProtect,
            body)
    }

    /// Calls `body` with the ranges that are in memory.
    func scanPresent(_ range: AddressRange, _ body: (AddressRange) -> Void) throws(UserfaultfdError) {
        try scan(range, requiring: .present, anyOf: [], returning: .present, options: [], body)
    }

    /// How many bytes of `range` are in huge pages.
    func hugeByteCount(in range: AddressRange) throws(UserfaultfdError) -> Int {
        var count = 0
        try scan(range, requiring: [.present, .huge], anyOf: [], returning: .huge, options: []) {
            count += $0.byteCount
        }
        return count
    }

    private func scan(
        _ range: AddressRange, requiring required: PageCategories, anyOf alternatives: PageCategories,
        returning wanted: PageCategories, options: PageScanOptions, _ body: (AddressRange) -> Void
    ) throws(UserfaultfdError) {
        // Made for each scan, so that several can go on at a time.
        var runs = PageRuns(capacity: 1024)
        var rest = range
        while rest.byteCount > 0 {
            let scan = try scanner.scan(
                rest, requiring: required, anyOf: alternatives, returning: wanted, options: options,
                into: &runs)
            for index in 0..<runs.count { body(runs[index].range) }
            guard scan.walkEnd > rest.start, scan.walkEnd < rest.end else { return }
            rest = rest.droppingFirst(bytes: Int(scan.walkEnd - rest.start))
        }
    }
}
