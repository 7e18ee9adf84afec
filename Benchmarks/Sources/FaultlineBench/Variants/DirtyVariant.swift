import Userfault

/// A way to find out which pages are written, with a name.
protocol DirtyVariant: Sendable {
    var name: String { get }
    /// What the kernel must have for it.
    var features: Features { get }

    /// Maps memory that holds `work.source`, and begins to note which of its pages are written.
    func start(_ work: DirtyWork) async throws -> any RunningDirty
}

/// What is to be watched.
struct DirtyWork: Sendable {
    /// The contents of the memory at first.
    var source: Contents
    /// The CPU of the thread that reads messages, or -1.
    var cpu: Int32
}

/// Memory that is being watched.
protocol RunningDirty: Sendable {
    /// The address of the memory.
    var base: UInt { get }

    /// The pages that were written since the last time, and how long it took to find them; nil from who does not watch.
    /// Nobody writes meanwhile.
    func collect() async throws -> DirtySet?

    /// Ends the watching, unmaps the memory and says what was done.
    func stop() async throws -> Counters
}

/// Pages that were written.
struct DirtySet: Equatable, Sendable {
    /// A bit for each page.
    var bitmap: [UInt64]
    /// Nanoseconds until they were found, and noting had begun anew.
    var time: UInt64

    /// No pages out of `pages`.
    init(pages: Int) {
        bitmap = [UInt64](repeating: 0, count: (pages + 63) / 64)
        time = 0
    }

    mutating func insert(_ page: Int) { bitmap[page / 64] |= 1 << UInt64(page % 64) }

    /// The lowest page that is in one of both sets only.
    func firstDifference(from other: DirtySet) -> Int? {
        for (index, pair) in zip(bitmap, other.bitmap).enumerated() where pair.0 != pair.1 {
            return index * 64 + (pair.0 ^ pair.1).trailingZeroBitCount
        }
        return nil
    }
}

/// The baselines in plain C.
struct CDirtyVariant: DirtyVariant {
    enum Style { case none, messages, asynchronous, readOnly }

    var name: String
    var style: Style

    var features: Features {
        switch style {
        case .none, .readOnly: []
        case .messages: .writeProtectFaults
        case .asynchronous: [.writeProtectFaults, .asynchronousWriteProtect]
        }
    }

    func start(_ work: DirtyWork) async throws -> any RunningDirty { try CDirty(style, work) }
}
