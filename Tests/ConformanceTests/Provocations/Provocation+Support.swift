import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

extension Provocation {
    /// Rows of one call.
    static func of(_ call: Call, _ rows: [Provocation]) -> [Provocation] {
        rows.map { row in
            var row = row
            row.call = call
            return row
        }
    }

    /// The argument's address is nobody's.
    static func unmappedArgument(_ ioctl: Ioctl) -> Provocation {
        .beyond("argp unmapped", .failed(.badAddress), because: "the module passes arguments of its own") {
            $0.ask(ioctl, at: neverMapped.start)
        }
    }

    /// While a thread drops a page and nobody has read the message.
    static func whileChanging(
        _ how: String, _ expected: Answer, on backing: Backing = .anonymous,
        _ run: @escaping @Sendable (Scene) throws -> Outcome
    ) -> Provocation {
        .fill(how, expected, on: backing, features: .removeEvents) { scene in
            try scene.whileChanging { try run(scene) }
        }
    }

    /// After the process of the memory has exited.
    static func exited(
        _ expected: Answer,
        _ run: @escaping @Sendable (Scene, borrowing Userfaultfd, AddressRange) throws -> Answer
    ) -> Provocation {
        .seen("target process exited", expected, in: .alone) { scene in
            let made = ctest_make_orphan(UInt64(SystemPage.size), 1)
            try #require(made.fd >= 0)
            let orphan = Userfaultfd(adopting: made.fd, features: [])
            return try run(
                scene, orphan, AddressRange(start: UInt(made.address), byteCount: SystemPage.size))
        }
    }
}

extension Scene {
    var uffd: CInt { served.uffd.fileDescriptor }

    /// An ioctl whose argument is at an address.
    func ask(_ ioctl: Ioctl, at address: UInt, of descriptor: CInt? = nil) -> Provocation.Answer {
        let error = -ctest_ioctl(descriptor ?? uffd, ioctl.number, ioctl.byteCount, UInt64(address))
        return error == 0 ? .whole : .failed(Errno(rawValue: error))
    }

    /// An ioctl with these words for an argument, which are at `argument` afterwards.
    func ask(_ ioctl: Ioctl, _ words: [UInt64], in argument: Area, of descriptor: CInt? = nil)
        -> Provocation.Answer
    {
        argument.write(words)
        return ask(ioctl, at: argument.start, of: descriptor)
    }

    /// An ioctl whose argument can be read and not written.
    func askReadOnly(_ ioctl: Ioctl, _ words: [UInt64], of descriptor: CInt? = nil) throws
        -> Provocation.Answer
    {
        let argument = try Area(pages: 1)
        argument.write(words)
        argument.protect(argument.whole, PROT_READ)
        return ask(ioctl, at: argument.start, of: descriptor)
    }

    /// Runs `body` while a thread drops the last page, and before anybody reads of it.
    func whileChanging<R>(_ body: () throws -> R) throws -> R {
        let dropper = Worker.advise(area.address(area.pageCount - 1), area.pageSize, Advice.dontNeed)
        try eventually { dropper.sleepsIn == eventWait }
        let result = Result { try body() }
        var batch = EventBatch(capacity: 1)
        _ = try batch.next(from: served)
        #expect(dropper.join() == 0)
        return try result.get()
    }

    func zero(_ first: Int, _ count: Int = 1) -> Outcome { served.uffd.zero(area.pages(first, count)) }
    func poison(_ first: Int, _ count: Int = 1) -> Outcome { served.uffd.poison(area.pages(first, count)) }
    func mapExisting(_ first: Int, _ count: Int = 1) -> Outcome {
        served.uffd.mapExisting(area.pages(first, count))
    }
    func protect(_ first: Int, _ count: Int = 1, options: WriteProtectOptions = .protect) -> Outcome {
        served.uffd.writeProtect(area.pages(first, count), options: options)
    }
    /// Takes pages from the source.
    func move(_ first: Int, _ count: Int = 1, to target: Int, options: MoveOptions = []) -> Outcome {
        served.uffd.move(from: source.address(first), to: area.pages(target, count), options: options)
    }

    func check(_ page: Int, isProtected expected: Bool) throws {
        #expect(try isProtected(area.address(page)) == expected, "page \(page)")
    }

    func register(_ range: AddressRange, _ modes: RegistrationModes = .missing) throws {
        _ = try served.uffd.register(range, modes: modes)
    }
}

extension Area {
    func write(_ words: [UInt64]) {
        for (index, word) in words.enumerated() { ctest_store(UInt64(start) + UInt64(index * 8), word) }
    }

    func read(_ index: Int) -> UInt64 { ctest_load(UInt64(start) + UInt64(index * 8)) }

    func protect(_ range: AddressRange, _ protection: CInt) {
        #expect(ctest_mprotect(UInt64(range.start), UInt64(range.byteCount), protection) == 0)
    }

    /// Puts pages into the file without mapping them here.
    func cache(_ pages: Int...) {
        for page in pages { ctest_store(UInt64(alias(page)), UInt64(page + 51)) }
    }

    /// Maps an ordinary file over the first page.
    func mapOrdinaryFile() throws {
        let file = unsafe ctest_open_read_only("/etc/passwd")
        try #require(file >= 0)
        defer { _ = ctest_close(file) }
        try map(file, MAP_PRIVATE, byteCount: pageSize)
    }

    /// Maps a file read-only over the start.
    func map(_ file: CInt, _ flags: CInt, byteCount: Int) throws {
        let mapped = ctest_mmap(UInt64(start), UInt64(byteCount), PROT_READ, flags | MAP_FIXED, file)
        try #require(mapped == Int64(start), "mmap answers \(mapped)")
    }
}

extension AddressRange {
    /// Not aligned at its start.
    var shifted: AddressRange { AddressRange(start: start + 1, byteCount: byteCount) }
    /// Not aligned at its end.
    var ragged: AddressRange { AddressRange(start: start, byteCount: byteCount + 1) }
    var emptied: AddressRange { AddressRange(start: start, byteCount: 0) }
    /// Reaches over the end of user memory.
    var wrapping: AddressRange {
        AddressRange(start: start, byteCount: Int.max & ~(SystemPage.size - 1))
    }
    /// A small page of a huge one, or what is beside it.
    var firstSmall: AddressRange { AddressRange(start: start, byteCount: SystemPage.size) }
    var afterSmall: AddressRange {
        AddressRange(start: start + UInt(SystemPage.size), byteCount: byteCount)
    }
    var words: [UInt64] { [UInt64(start), UInt64(byteCount)] }
}

/// The start of the kernel's half of the addresses.
let kernelRange = AddressRange(start: UInt(1) << 63, byteCount: SystemPage.size)
