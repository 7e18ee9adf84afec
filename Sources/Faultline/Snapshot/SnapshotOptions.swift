public import Userfault

/// Choices for one snapshot.
public struct SnapshotOptions: Sendable {
    /// What becomes of pages that are not there when the snapshot is taken.
    public enum MissingPages: Hashable, Sendable {
        /// The handler is asked for them, in runs, and they come into the region: the image is complete.
        case supply
        /// They are left out, and listed in ``SnapshotReport/skipped``: their store has them. For memory that the pager mapped with
        /// the mode `missing`.
        case skip
    }

    /// What becomes of pages that cannot be read: poisoned ones, or memory that was unmapped.
    public enum UnreadablePages: Hashable, Sendable {
        /// The snapshot fails.
        case fail
        /// They are left out, and listed in ``SnapshotReport/skipped``.
        case skip
    }

    /// What becomes of pages that are not there.
    public var missingPages: MissingPages
    /// What becomes of pages that cannot be read.
    public var unreadablePages: UnreadablePages
    /// The most memory for pages that were copied because threads wanted to write them, and that the target has not taken
    /// yet, in bytes; 64 MiB by default. When it is used up, such threads wait for the target. At least some pages are
    /// allowed, whatever it says.
    public var memoryLimit: Int
    /// Told of the progress, after each call of the target and on the same threads.
    public var onProgress: (@Sendable (SnapshotProgress) -> Void)?
    /// Brings the application's writers to rest, say between two transactions, and returns when they are: what the image shows then
    /// is whole, and has what is written here. Called once, shortly before the instant, when most pages are protected
    /// already; in a task and on a thread of its own, which may be blocked. It may write to the region. A snapshot that ends
    /// meanwhile, because it is cancelled or its pager shuts down, does not wait for it: its task is cancelled, and
    /// ``resumeWriters`` follows when it returns.
    public var pauseWriters: (@Sendable () async -> Void)?
    /// Lets the writers go on: the instant has passed, some hundred microseconds later, or the snapshot has failed. Called once
    /// after ``pauseWriters`` has returned, also where the snapshot was over before that; it must not block.
    public var resumeWriters: (@Sendable () -> Void)?

    /// Options with defaults. The parameters are the properties of the same names.
    public init(
        missingPages: MissingPages = .supply, unreadablePages: UnreadablePages = .fail,
        memoryLimit: Int = 64 << 20, onProgress: (@Sendable (SnapshotProgress) -> Void)? = nil,
        pauseWriters: (@Sendable () async -> Void)? = nil, resumeWriters: (@Sendable () -> Void)? = nil
    ) {
        self.missingPages = missingPages
        self.unreadablePages = unreadablePages
        self.memoryLimit = memoryLimit
        self.onProgress = onProgress
        self.pauseWriters = pauseWriters
        self.resumeWriters = resumeWriters
    }
}

/// How far a snapshot has come.
public struct SnapshotProgress: Hashable, Sendable {
    /// Pages that the target has taken.
    public let savedPages: Int
    /// Pages that it is to take.
    public let totalPages: Int
}

/// What there is to say about a snapshot that was taken.
public struct SnapshotReport: Hashable, Sendable {
    /// Pages that the target has taken.
    public internal(set) var savedPages = 0
    /// Those among them that a thread wanted to write, and that were copied before that.
    public internal(set) var pagesCopiedBeforeWrite = 0
    /// Those among them that the handler supplied for the snapshot.
    public internal(set) var suppliedPages = 0
    /// What is not in the image, merged and in order; see ``SnapshotOptions``.
    public internal(set) var skipped: [AddressRange] = []
    /// How often pages were protected: once all of them, then those that were written meanwhile, and so on.
    public internal(set) var passes = 0
    /// Pages of the last pass, for whose length all writers may have had to wait.
    public internal(set) var pagesOfLastPass = 0
    /// How long the last pass took. At its end is the instant that the image shows.
    public internal(set) var lastPass = Duration.zero
    /// The time from the start to the instant that the image shows, ``SnapshotOptions/pauseWriters`` included.
    public internal(set) var protecting = Duration.zero
    /// The longest time from a write's message to its thread's release. Not in it: the way of the message, and of the thread
    /// back to a processor.
    public internal(set) var longestHold = Duration.zero
    /// The time that the region was protected, wholly or in part.
    public internal(set) var protected = Duration.zero
    /// The whole time, the target's included.
    public internal(set) var total = Duration.zero
}
