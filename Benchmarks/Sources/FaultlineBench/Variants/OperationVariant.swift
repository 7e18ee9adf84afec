import Userfault

/// A way to call the kernel's operations.
enum OperationVariant: String, CaseIterable {
    /// The ioctls in plain C.
    case plain = "c-ioctl"
    /// The typed calls of `Userfault`.
    case typed = "userfault"

    /// The operation on all pages of the arena, `pagesPerCall` a call. Returns the nanoseconds it took.
    func measure(_ arena: OperationArena, pagesPerCall: Int) throws -> UInt64 {
        try arena.prepare()
        let begin = System.now
        switch self {
        case .plain: try arena.runInC(pagesPerCall: pagesPerCall)
        case .typed: try arena.runTyped(pagesPerCall: pagesPerCall)
        }
        let time = System.now - begin
        try arena.verify(variant: rawValue)
        return time
    }
}

extension OperationArena {
    /// The operation on all pages, as a user of `Userfault` writes it.
    fileprivate func runTyped(pagesPerCall: Int) throws {
        switch operation {
        case .copy:
            let source = self.source
            let start = destination.start
            try forEachCall(pagesPerCall) { userfaultfd.copy(from: source + ($0.start - start), to: $0) }
        case .move:
            let source = self.source
            let start = destination.start
            try forEachCall(pagesPerCall) { userfaultfd.move(from: source + ($0.start - start), to: $0) }
        case .zero: try forEachCall(pagesPerCall) { userfaultfd.zero($0) }
        case .mapExisting: try forEachCall(pagesPerCall) { userfaultfd.mapExisting($0) }
        case .protect: try forEachCall(pagesPerCall) { userfaultfd.writeProtect($0, options: .protect) }
        case .unprotect: try forEachCall(pagesPerCall) { userfaultfd.writeProtect($0, options: []) }
        case .poison: try forEachCall(pagesPerCall) { userfaultfd.poison($0) }
        case .wake:
            for range in calls(pagesPerCall) { try userfaultfd.wake(range) }
        }
    }

    @inline(__always)
    private func forEachCall(_ pagesPerCall: Int, _ call: (AddressRange) -> Outcome) throws(RunError) {
        for range in calls(pagesPerCall) {
            let outcome = call(range)
            guard outcome == .whole else {
                throw .failed("\(operation.rawValue) by Userfault at \(range): \(outcome).")
            }
        }
    }

    @inline(__always)
    private func calls(_ pagesPerCall: Int) -> some Sequence<AddressRange> {
        let bytes = pagesPerCall * System.pageSize
        let whole = destination
        return stride(from: whole.start, to: whole.end, by: bytes).lazy.map {
            AddressRange(start: $0, byteCount: bytes)
        }
    }
}
