import EventReactor
import Userfault

/// Copies the pages of a snapshot aside. Used by both of its tasks.
///
/// It reads the region through the kernel. A page that was dropped or poisoned meanwhile then ends the copy, and not the
/// process; and the thread sanitizer need not be told that the application's threads cannot be writing.
struct SnapshotCopier: Sendable {
    let board: SnapshotBoard
    let region: AddressRange
    let pageSize: Int
    let staging: Mapping
    let skipsUnreadable: Bool
    /// Pages that could not be read.
    let unreadable = Lock<[AddressRange]>([])
    /// Told of pages that may be written from now on.
    let onCopied: @Sendable ([Range<Int>]) -> Void

    /// Copies the pages that threads wait to write, until all pages have been copied.
    func copyUrgent() async {
        var open: StagedChunk?
        do throws(PagerError) {
            while true {
                switch board.nextUrgent(room: open.map { board.chunkPages - $0.usedPages } ?? 0) {
                case .pages(let pages):
                    guard var chunk = open else { break }
                    for page in pages { try copy(page..<page + 1, into: &chunk) }
                    open = chunk
                    // What the target has time for need not wait for company.
                    guard chunk.usedPages == board.chunkPages || board.isSaverIdle else { break }
                    board.submit(chunk)
                    open = nil
                case .room(let index):
                    if let chunk = open { board.submit(chunk) }
                    open = StagedChunk(index: index)
                case .none:
                    if let chunk = open { board.submit(chunk) }
                    open = nil
                    await board.waitForUrgent()
                case .finished:
                    if let chunk = open { board.submit(chunk) }
                    return board.finishUrgent()
                case .stopped:
                    return
                }
            }
        } catch {
            board.stop(error)
        }
    }

    func range(of pages: Range<Int>) -> AddressRange {
        AddressRange(
            start: region.start + UInt(pages.lowerBound * pageSize), byteCount: pages.count * pageSize)
    }

    /// Releases pages that the target has; returns how many it was the first to have.
    func release(_ pages: Range<Int>) -> Int {
        let counted = board.settle(pages)
        if !counted.isEmpty { onCopied(counted) }
        return counted.reduce(0) { $0 + $1.count }
    }

    /// Copies pages, and releases those whose copies count.
    func copy(_ pages: Range<Int>, into chunk: inout StagedChunk) throws(PagerError) {
        var copies = StagedChunk(index: chunk.index)
        copies.usedPages = chunk.usedPages
        var rest = pages
        while !rest.isEmpty {
            let source = range(of: rest)
            let offset = (copies.index * board.chunkPages + copies.usedPages) * pageSize
            let whole = rest.prefix(try staging.copyThroughKernel(source, to: offset) / pageSize)
            copies.append(whole)
            rest = whole.upperBound..<rest.upperBound
            guard whole.isEmpty else { continue }
            let page = AddressRange(start: source.start, byteCount: pageSize)
            guard skipsUnreadable else {
                throw PagerError(
                    .unreadable, "a page to be saved cannot be read: it is poisoned, or not there any more",
                    range: page)
            }
            unreadable.withLock { $0.append(page) }
            rest = rest.dropFirst()
        }
        chunk.usedPages = copies.usedPages
        let counted = board.settle(pages)
        guard !counted.isEmpty else { return }
        onCopied(counted)
        for run in copies.runs {
            for part in counted where part.overlaps(run.pages) {
                let kept = part.clamped(to: run.pages)
                chunk.runs.append(
                    StagedChunk.Run(pages: kept, slot: run.slot + kept.lowerBound - run.pages.lowerBound))
            }
        }
    }
}

extension Mapping {
    /// Copies `source` to the byte `offset`, as far as it can be read.
    fileprivate func copyThroughKernel(_ source: AddressRange, to offset: Int) throws(PagerError) -> Int {
        do throws(SystemFailure) {
            return try read(source, to: offset)
        } catch {
            throw PagerError(error)
        }
    }
}
