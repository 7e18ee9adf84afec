import EventReactor
import Userfault

/// What the loop and the two tasks of a snapshot tell each other. Any thread; the lock is held for a few instructions, never
/// while a page is touched.
///
/// One task saves: it copies the pages in order, and hands them to the target. The other has only the pages that threads
/// wait to write: it sleeps most of the time, so that it has a processor at once when it is needed. Both may copy
/// the same page at the same time. Who is done first has it: the page is released because of that copy, and the other
/// copy, in which the writing that followed may show, is dropped.
final class SnapshotBoard: Sendable {
    /// The pages that have been copied, or given up.
    ///
    /// `@unchecked Sendable`: part of the board's state, and touched under its lock only.
    private struct Done: @unchecked Sendable {
        var pages: PageBitmap
    }

    private struct State {
        var done: Done
        /// Pages to copy; known when the tasks begin.
        var total: Int?
        var urgent: [Int] = []
        var inOrder: [Range<Int>] = []
        var nextInOrder = 0
        var free: [Int]
        var staged: [StagedChunk] = []
        var nextStaged = 0
        var isSaverIdle = true
        var isUrgentFinished = false
        var failure: PagerError?
        var whenStopped: (@Sendable () -> Void)?
        var saver: CheckedContinuation<Void, Never>?
        var urgentCopier: CheckedContinuation<Void, Never>?

        var isCopied: Bool { done.pages.population == total }
        var hasStaged: Bool { nextStaged < staged.count }

        var hasUrgentWork: Bool { isCopied || failure != nil || !urgent.isEmpty && !free.isEmpty }
        var hasSaveWork: Bool {
            hasStaged || nextInOrder < inOrder.count || failure != nil || isCopied && isUrgentFinished
        }
    }

    let chunkPages: Int
    private let state: Lock<State>

    /// `chunkCount`: pieces of staging memory; the first is the saver's.
    init(pageCount: Int, chunkPages: Int, chunkCount: Int) {
        self.chunkPages = chunkPages
        // The last one is used first, so that a quick target makes do with little memory.
        state = Lock(
            State(
                done: Done(pages: PageBitmap(pageCount: pageCount)), free: Array((1..<chunkCount).reversed()))
        )
    }

    /// Changes the state, then wakes whom that concerns.
    private func change<R>(_ body: (inout State) -> R) -> R {
        let (result, saver, urgentCopier) = state.withLock { state in
            let result = body(&state)
            var saver: CheckedContinuation<Void, Never>?
            var urgentCopier: CheckedContinuation<Void, Never>?
            if state.saver != nil, state.hasSaveWork { swap(&saver, &state.saver) }
            if state.urgentCopier != nil, state.hasUrgentWork { swap(&urgentCopier, &state.urgentCopier) }
            return (result, saver, urgentCopier)
        }
        urgentCopier?.resume()
        saver?.resume()
        return result
    }
}

// The loop's side.
extension SnapshotBoard {
    /// A thread waits to write to a page that has not been copied.
    func addUrgent(_ page: Int) { change { $0.urgent.append(page) } }

    /// Pages that can be copied.
    func add(_ runs: [Range<Int>]) { change { $0.inOrder += runs } }

    /// Both stop where they are.
    func stop(_ error: PagerError) {
        let whenStopped = change { state in
            if state.failure == nil { state.failure = error }
            return state.whenStopped
        }
        whenStopped?()
    }

    /// Calls `body` when they are, at once if they have been. It may be called more than once.
    func whenStopped(_ body: @escaping @Sendable () -> Void) {
        let isStopped = change { state in
            state.whenStopped = body
            return state.failure != nil
        }
        if isStopped { body() }
    }

    /// Why they were stopped.
    var failure: PagerError? { state.withLock { $0.failure } }
}

// The tasks' side.
extension SnapshotBoard {
    func begin(total: Int) { change { $0.total = total } }

    /// Notes that pages have been copied. Returns those that had not been before: only they are to be released, and only their
    /// copies to be kept.
    func settle(_ pages: Range<Int>) -> [Range<Int>] {
        change { state in
            var new: [Range<Int>] = []
            var page = pages.lowerBound
            while let run = state.done.pages.nextRun(false, from: page, below: pages.upperBound) {
                new.append(run)
                page = run.upperBound
            }
            state.done.pages.insert(pages)
            return new
        }
    }

    /// The first of `pages` that have not been copied.
    func firstUncopied(in pages: Range<Int>) -> Range<Int>? {
        state.withLock { $0.done.pages.nextRun(false, from: pages.lowerBound, below: pages.upperBound) }
    }

    /// What the urgent copier is to do next. `room`: pages that it has room for already.
    func nextUrgent(room: Int) -> UrgentWork {
        state.withLock { state in
            if let failure = state.failure { return .stopped(failure) }
            if state.isCopied { return .finished }
            guard !state.urgent.isEmpty else { return .none }
            if room > 0 {
                let pages = Array(state.urgent.prefix(room))
                state.urgent.removeFirst(pages.count)
                return .pages(pages.filter { !state.done.pages.contains($0) })
            }
            return state.free.popLast().map { .room(chunk: $0) } ?? .none
        }
    }

    func waitForUrgent() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if !state.hasUrgentWork { state.urgentCopier = continuation }
                return state.hasUrgentWork
            }
            if isReady { continuation.resume() }
        }
    }

    /// Whether the saver waits for something to do.
    var isSaverIdle: Bool { state.withLock { $0.isSaverIdle && !$0.hasStaged } }

    /// Hands on what was copied.
    func submit(_ chunk: StagedChunk) {
        change { state in
            if chunk.runs.isEmpty { state.free.append(chunk.index) } else { state.staged.append(chunk) }
        }
    }

    /// The urgent copier has handed on all it had.
    func finishUrgent() { change { $0.isUrgentFinished = true } }

    /// What the saver is to do next. `done`: the chunk whose pages the target has taken.
    func nextSave(done: Int?) -> SaveWork {
        change { state in
            if let done { state.free.append(done) }
            if let failure = state.failure { return .stopped(failure) }
            state.isSaverIdle = false
            // First what takes up memory.
            if state.hasStaged {
                state.nextStaged += 1
                let chunk = state.staged[state.nextStaged - 1]
                if !state.hasStaged {
                    state.staged.removeAll(keepingCapacity: true)
                    state.nextStaged = 0
                }
                return .chunk(chunk)
            }
            if state.nextInOrder < state.inOrder.count { return .run(takeRun(&state)) }
            state.isSaverIdle = true
            return state.isCopied && state.isUrgentFinished ? .finished : .none
        }
    }

    private func takeRun(_ state: inout State) -> Range<Int> {
        let run = state.inOrder[state.nextInOrder]
        let part = run.prefix(chunkPages)
        if part.count < run.count {
            state.inOrder[state.nextInOrder] = part.upperBound..<run.upperBound
        } else {
            state.nextInOrder += 1
        }
        if state.nextInOrder == state.inOrder.count {
            state.inOrder.removeAll(keepingCapacity: true)
            state.nextInOrder = 0
        }
        return part
    }

    func waitForSave() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if !state.hasSaveWork { state.saver = continuation }
                return state.hasSaveWork
            }
            if isReady { continuation.resume() }
        }
    }
}
