import EventReactor
import Userfault

// The full road of an answer, with parts, refusals and requests to come back later.
extension PagerCore {
    /// Takes a part of an answer before its task has ended.
    func supply(_ resolution: Resolution, to ticket: RequestTicket) throws(PagerError) {
        guard ticket.position != nil else {
            throw PagerError(.requestIsOver, "a part of an answer came after its request was over")
        }
        let region = ticket.region
        let range = try check(resolution, pages: ticket.pages, of: region, kind: ticket.cause.kind)
        let pages = region.pages(of: range)
        guard !ticket.supplied.contains(where: { $0.overlaps(pages) }) else {
            throw PagerError(.badResolution, "these pages have been supplied already", range: range)
        }
        if case .retry = resolution.action {
            throw PagerError(.badResolution, "a part of an answer cannot be a retry", range: range)
        }
        ticket.supplied.append(pages)
        hold(resolution.owner)
        let altered = settleAltered(pages, of: region, kind: ticket.cause.kind, supplied: [])
        pages.forEachPart(outside: altered) { part in
            enqueue(
                resolution, covering: range, part: region.range(of: part), region: region,
                failures: ticket.failures, cause: ticket.cause)
        }
        letGo(resolution.owner, of: region)
    }

    @inline(never)
    func answer(
        _ resolution: Resolution, pages: Range<Int>, of region: RegionState, supplied: [Range<Int>],
        cause: FaultCause, failures: Int
    ) {
        if case .retry(let delay) = resolution.action {
            let settled = settleAltered(pages, of: region, kind: cause.kind, supplied: supplied)
            pages.forEachPart(outside: settled) { part in
                forEachWanted(part, of: region, cause) { wanted in
                    askAgain(wanted, of: region, cause: cause, failures: failures, after: delay)
                }
            }
            return
        }
        do {
            let range = try check(resolution, pages: pages, of: region, kind: cause.kind)
            // What has become of the pages meanwhile, and while checking, goes before the answer.
            let settled = settleAltered(pages, of: region, kind: cause.kind, supplied: supplied)
            let filled = region.pages(of: range)
            hold(resolution.owner)
            filled.forEachPart(outside: settled) { part in
                enqueue(
                    resolution, covering: range, part: region.range(of: part), region: region,
                    failures: failures, cause: cause)
            }
            letGo(resolution.owner, of: region)
            guard filled != pages else { return }
            pages.forEachPart(outside: settled + [filled]) { part in
                forEachWanted(part, of: region, cause) { wanted in
                    let error = PagerError(
                        .badResolution, "the last resolution left pages of its request open",
                        range: region.range(of: wanted))
                    fail(wanted, of: region, error: error, cause: cause, failures: failures + 1)
                }
            }
        } catch {
            let settled = settleAltered(pages, of: region, kind: cause.kind, supplied: supplied)
            pages.forEachPart(outside: settled) { part in
                fail(part, of: region, error: error, cause: cause, failures: failures + 1)
            }
        }
    }

    /// The range that a resolution fills, when it is one that the request allows.
    private func check(
        _ resolution: Resolution, pages: Range<Int>, of region: RegionState, kind: Fault.Kind
    ) throws(PagerError) -> AddressRange {
        let whole = region.range(of: pages)
        let range = resolution.range ?? whole
        let page = UInt(region.pageSize - 1)
        guard range.byteCount > 0, (range.start | UInt(range.byteCount)) & page == 0, whole.contains(range)
        else {
            throw PagerError(.badResolution, "a resolution must be pages of its request", range: range)
        }
        guard resolution.answers(kind) else {
            throw PagerError(
                .badResolution,
                "a \(kind) fault is not resolved by this: its thread would fault again, for ever",
                range: range)
        }
        if let needed = resolution.neededOperation, !region.operations.contains(needed) {
            throw PagerError(
                .unsupportedOperation,
                "the kernel does not offer \(needed) for this memory and these modes, only \(region.operations)",
                range: range)
        }
        if resolution.isWriteProtected, !region.options.modes.contains(.writeProtect) {
            throw PagerError(
                .unsupportedOperation, "pages can be write-protected only in a region whose modes include it",
                range: range)
        }
        guard let bytes = resolution.sourceBytes else { return range }
        guard bytes.byteCount >= range.byteCount else {
            throw PagerError(
                .badResolution,
                "a resolution of \(bytes.byteCount) bytes is too short for \(range.byteCount)",
                range: range)
        }
        let source = AddressRange(start: bytes.start, byteCount: range.byteCount)
        for (part, owner) in registered.index.parts(in: source) {
            // A buffer may have been given addresses of which nobody has heard yet that they were let go.
            guard owner.giveUp(part, isFresh: false) else {
                throw PagerError(
                    .sourceIsRegistered,
                    "the bytes to copy lie in a range registered on the same reactor; copy them from elsewhere",
                    range: registered.index.firstOverlap(part))
            }
        }
        return range
    }
}
