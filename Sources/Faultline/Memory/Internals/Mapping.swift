// This folder is the one place of the module that maps memory and touches it through pointers. Everything here is
// checked against bounds, so that the rest of the module is free of `unsafe`.

internal import EventReactor
internal import Glibc
package import Userfault

/// Memory that we mapped, unmapped when the last reference goes.
///
/// Safe from every thread as far as its bounds go; who may touch which bytes when is the caller's matter, as with
/// any shared memory: buffers belong to one request at a time, files are mapped read-only, and the bytes of a
/// region belong to the application's threads.
@safe
package final class Mapping: Sendable {
    package let address: UInt
    package let byteCount: Int
    private let ownsMemory: Bool
    /// Whether it is memory of our own that no file stands behind: it can be read without a signal, whatever happens elsewhere.
    let isAnonymous: Bool
    /// What somebody else has unmapped or moved away: it is not ours to unmap any more.
    private let lost = Lock<[AddressRange]>([])

    private init(address: UInt, byteCount: Int, ownsMemory: Bool, isAnonymous: Bool = false) {
        self.address = address
        self.byteCount = byteCount
        self.ownsMemory = ownsMemory
        self.isAnonymous = isAnonymous
    }

    deinit {
        guard ownsMemory else { return }
        for part in range.subtracting(each: lost.withLock { $0 }) {
            _ = unsafe munmap(UnsafeMutableRawPointer(bitPattern: part.start), part.byteCount)
        }
    }

    /// Says that `part` is not mapped any more, or is somebody else's memory now. Any thread.
    package func lose(_ part: AddressRange) {
        if ownsMemory { lost.withLock { $0.append(part) } }
    }

    package var range: AddressRange { AddressRange(start: address, byteCount: byteCount) }

    /// Private anonymous memory, not yet populated and not passed on to forked children: in a child the pages
    /// nobody touched would read as zeroes, whatever they are meant to hold.
    package static func anonymous(byteCount: Int, inheritedByFork: Bool = false) throws(SystemFailure)
        -> Mapping
    {
        let mapping = try map(
            byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if !inheritedByFork { mapping.hideFromChildren() }
        return mapping
    }

    /// The same, at an address that is a multiple of the size of a huge page.
    package static func anonymousAligned(byteCount: Int, inheritedByFork: Bool = false) throws(SystemFailure)
        -> Mapping
    {
        guard byteCount <= Int.max - HugePage.size else { throw SystemFailure(call: "mmap", errno: ENOMEM) }
        let wide = try map(
            byteCount + HugePage.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        let start = (wide.address + UInt(HugePage.size - 1)) & ~UInt(HugePage.size - 1)
        let range = AddressRange(start: start, byteCount: byteCount)
        guard
            unsafe mprotect(UnsafeMutableRawPointer(bitPattern: start), byteCount, PROT_READ | PROT_WRITE)
                == 0
        else { throw SystemFailure(call: "mprotect", errno: errno) }
        let mapping = Mapping(address: start, byteCount: byteCount, ownsMemory: true, isAnonymous: true)
        // Its ends go now, its middle with the other one.
        wide.lose(range)
        if !inheritedByFork { mapping.hideFromChildren() }
        return mapping
    }

    /// Has the kernel make huge pages of aligned pieces of `part` when it populates them. Where somebody else is to populate them,
    /// a fault leaves no table of small pages behind then: a huge page cannot be moved to where one is.
    func preferHugePages(_ part: AddressRange) {
        guard range.contains(part), let start = unsafe UnsafeMutableRawPointer(bitPattern: part.start) else {
            return
        }
        // MADV_HUGEPAGE. A kernel without huge pages refuses, which changes nothing but the time.
        _ = unsafe madvise(start, part.byteCount, 14)
    }

    /// A file's bytes, read-only. Bytes past the end of the file's last page are refused by the kernel (SIGBUS on
    /// access, `EFAULT` for an ioctl).
    package static func file(_ file: OpenFile, byteCount: Int) throws(SystemFailure) -> Mapping {
        try map(byteCount, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
    }

    /// Memory of somebody else, for whose life the caller answers.
    package static func borrowed(_ range: AddressRange) -> Mapping {
        Mapping(address: range.start, byteCount: range.byteCount, ownsMemory: false)
    }

    /// A file's bytes, to be read and written: shared with everyone who maps it, or private.
    package static func writableFile(
        _ file: OpenFile, byteCount: Int, isPrivate: Bool, inheritedByFork: Bool
    ) throws(SystemFailure) -> Mapping {
        let mapping = try map(
            byteCount, PROT_READ | PROT_WRITE, isPrivate ? MAP_PRIVATE : MAP_SHARED, file.descriptor, 0)
        if !inheritedByFork { mapping.hideFromChildren() }
        return mapping
    }

    /// Private anonymous memory in pages of 2 MiB, reserved from the system's pool.
    package static func huge(byteCount: Int, inheritedByFork: Bool) throws(SystemFailure) -> Mapping {
        // MAP_HUGETLB | MAP_HUGE_2MB, which Glibc's module does not have.
        let hugePages = CInt(0x40000 | 21 << 26)
        let mapping = try map(
            byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | hugePages, -1, 0)
        if !inheritedByFork { mapping.hideFromChildren() }
        return mapping
    }

    private func hideFromChildren() {
        if let base = unsafe UnsafeMutableRawPointer(bitPattern: address) {
            _ = unsafe madvise(base, byteCount, MADV_DONTFORK)
        }
    }

    static func map(
        _ byteCount: Int, _ protection: CInt, _ flags: CInt, _ descriptor: CInt, _ offset: Int
    ) throws(SystemFailure) -> Mapping {
        let base = unsafe mmap(nil, byteCount, protection, flags, descriptor, offset)
        guard let base = unsafe base, unsafe base != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw SystemFailure(call: "mmap", errno: errno)
        }
        return Mapping(
            address: UInt(bitPattern: base), byteCount: byteCount, ownsMemory: true,
            isAnonymous: flags & MAP_ANONYMOUS != 0)
    }

    func pointer(_ offset: Int, _ count: Int) -> UnsafeMutableRawPointer {
        precondition(
            offset >= 0 && count >= 0 && offset <= byteCount && count <= byteCount - offset,
            "Faultline: bytes \(offset)..<\(offset &+ count) are outside of a mapping of \(byteCount) bytes")
        guard let base = unsafe UnsafeMutableRawPointer(bitPattern: address) else {
            preconditionFailure("Faultline: a mapping cannot begin at address zero")
        }
        return unsafe base + offset
    }

    package func load<T: BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
        unsafe pointer(offset, MemoryLayout<T>.size).loadUnaligned(as: type)
    }

    package func store<T: BitwiseCopyable>(_ value: T, _ offset: Int) {
        unsafe pointer(offset, MemoryLayout<T>.size).storeBytes(of: value, as: T.self)
    }

    package func withBytes<R, E: Error>(_ range: Range<Int>, _ body: (RawSpan) throws(E) -> R) throws(E) -> R
    {
        let base = unsafe UnsafeRawPointer(pointer(range.lowerBound, range.count))
        return try unsafe body(RawSpan(_unsafeStart: base, byteCount: range.count))
    }

    package func withMutableBytes<R, E: Error>(
        _ range: Range<Int>, _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        let base = unsafe pointer(range.lowerBound, range.count)
        var span = unsafe MutableRawSpan(_unsafeStart: base, byteCount: range.count)
        return try body(&span)
    }

    /// Lets `body` append bytes from `range.lowerBound` on, and says how many it appended.
    package func append<E: Error>(
        _ range: Range<Int>, _ body: (inout OutputRawSpan) throws(E) -> Void
    ) throws(E) -> Int {
        let base = unsafe pointer(range.lowerBound, range.count)
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: base, count: range.count)
        var span = unsafe OutputRawSpan(buffer: bytes, initializedCount: 0)
        try body(&span)
        return unsafe span.finalize(for: bytes)
    }

    package func zero(_ range: Range<Int>) {
        _ = unsafe memset(pointer(range.lowerBound, range.count), 0, range.count)
    }

    package func copyBytes(_ range: Range<Int>) -> [UInt8] {
        unsafe [UInt8](
            UnsafeRawBufferPointer(start: pointer(range.lowerBound, range.count), count: range.count))
    }

    package func write(_ bytes: [UInt8], at offset: Int) {
        let target = unsafe pointer(offset, bytes.count)
        unsafe bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            unsafe target.copyMemory(from: base, byteCount: source.count)
        }
    }

    /// Copies the bytes `range` of `source` to the beginning of this mapping.
    package func copy(_ source: Mapping, _ range: Range<Int>) {
        let target = unsafe pointer(0, range.count)
        unsafe target.copyMemory(from: source.pointer(range.lowerBound, range.count), byteCount: range.count)
    }

    /// The bytes as a pointer, for the one public accessor that says so.
    @unsafe package var basePointer: UnsafeMutableRawPointer { unsafe pointer(0, byteCount) }

    /// Puts memory in the place of `range` whose every access raises SIGBUS (a mapping of an empty file), in
    /// constant time however long the range is. What stood there is gone.
    package func seal(_ range: AddressRange) throws(SystemFailure) {
        precondition(range.start >= address && range.end <= address + UInt(byteCount))
        let descriptor = AnonymousFile.open()
        guard descriptor >= 0 else { throw SystemFailure(call: "memfd_create", errno: -descriptor) }
        defer { _ = Glibc.close(descriptor) }
        let base = unsafe mmap(
            UnsafeMutableRawPointer(bitPattern: range.start), range.byteCount, PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_FIXED | MAP_NORESERVE, descriptor, 0)
        guard unsafe base != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw SystemFailure(call: "mmap", errno: errno)
        }
    }
}
