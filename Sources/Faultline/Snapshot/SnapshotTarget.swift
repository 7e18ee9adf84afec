internal import Userfault

/// Where the pages of a snapshot go: a ``SnapshotFile``, a ``SnapshotMemory``, or something of your own.
///
/// ```swift
/// struct Pieces: SnapshotTarget {
///     let connection: Connection
///     func write(_ bytes: RawSpan, at offset: Int) async throws {
///         try await connection.send(header(offset, bytes.byteCount), bytes)
///     }
/// }
/// ```
///
/// The calls come one after the other, on threads that the snapshot has for it: a call may block, and may take its time. The
/// bytes are not those of the region but a copy, of bounded size (``SnapshotOptions/memoryLimit``): when it is used up, threads that
/// write to pages not saved yet wait for the target.
///
/// - Important: A target must not wait for a thread that may be writing to the region.
public protocol SnapshotTarget: Sendable {
    /// The snapshot begins: called once, before any page is protected. The default does nothing.
    ///
    /// - Parameter layout: what is to come.
    /// - Throws: any error: no snapshot is taken.
    func begin(_ layout: SnapshotLayout) async throws

    /// Takes the bytes of one page or several. Each page comes once, most of them in ascending order, but not all: those that threads
    /// write to come as they are written. Pages that are left out (``SnapshotOptions``) do not come.
    ///
    /// - Parameters:
    ///   - bytes: whole pages; valid during the call.
    ///   - offset: where in the region they begin, in bytes.
    /// - Throws: any error: the snapshot ends with it.
    func write(_ bytes: RawSpan, at offset: Int) async throws

    /// All pages have come. The default does nothing.
    ///
    /// - Throws: any error: the snapshot has failed with it.
    func finish() async throws

    /// The snapshot has failed, for whatever reason, after ``begin(_:)``; no other call follows. The default does nothing.
    func abandon() async
}

extension SnapshotTarget {
    /// Does nothing.
    public func begin(_ layout: SnapshotLayout) async throws {}
    /// Does nothing.
    public func finish() async throws {}
    /// Does nothing.
    public func abandon() async {}
}

/// The measures of a snapshot.
public struct SnapshotLayout: Hashable, Sendable {
    /// The length of the region in bytes, and so of the image.
    public let byteCount: Int
    /// The size of its pages in bytes.
    public let pageSize: Int
}

/// A target that can take pages from where they lie, through the kernel, and that may be given a page again: the last time counts.
protocol DirectSnapshotTarget: SnapshotTarget {
    /// Whether it wants to.
    var takesMemory: Bool { get }

    /// Takes what can be read of `range`, from its first byte on. Returns the number of bytes taken.
    func write(memoryAt range: AddressRange, at offset: Int) throws -> Int
}
