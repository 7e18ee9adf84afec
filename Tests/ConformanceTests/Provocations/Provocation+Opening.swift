import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

extension Provocation {
    static let systemCallRows = of(
        .systemCall,
        [
            .beyond("unknown flag bit (0x8)", .failed(.invalidArgument), because: flagsAreGiven) { _ in
                opened(ctest_open_raw_with(0x8 | 1))
            },
            .beyond("O_CLOEXEC+O_APPEND", .failed(.invalidArgument), because: flagsAreGiven) { _ in
                opened(ctest_open_raw_with(O_CLOEXEC | O_APPEND | 1))
            },
            .call("RLIMIT_NOFILE exhausted", .failed(.tooManyFiles), in: .alone) { _ in
                #expect(ctest_set_descriptor_limit(1) == 0)
                defer { _ = ctest_set_descriptor_limit(1024) }
                _ = try Userfaultfd.probe(trying: [.userModeOnly])
            },
            .call(
                "no CAP_SYS_PTRACE, no UFFD_USER_MODE_ONLY, vm.unprivileged_userfaultfd=0",
                .failed(.notPermitted), in: .nobody
            ) { _ in
                _ = try Userfaultfd.probe(trying: [.systemCall])
            },
            .call("same unprivileged user, UFFD_USER_MODE_ONLY", .whole, in: .nobody) { _ in
                _ = try Userfaultfd.probe(trying: [.userModeOnly])
            },
        ])

    static let deviceRows = of(
        .device,
        [
            .call("open: mode 0600 root, opened by another", .failed(.accessDenied), in: .nobody) { _ in
                _ = try Userfaultfd.probe(trying: [.deviceNode])
            },
            .call("USERFAULTFD_IOC_NEW: O_CLOEXEC+O_NONBLOCK", .whole, in: .root) { _ in
                let made = try Userfaultfd(trying: [.deviceNode])
                #expect(ctest_is_nonblocking(made.fileDescriptor) != 0)
                #expect(ctest_is_close_on_exec(made.fileDescriptor) != 0)
            },
            .beyond(
                "USERFAULTFD_IOC_NEW: unknown flag bit", .failed(.invalidArgument), because: flagsAreGiven,
                in: .root
            ) { _ in
                let device = ctest_open_device()
                defer { _ = ctest_close(device) }
                return opened(ctest_ask_device(device, 0, 0x8))
            },
            .beyond(
                "any ioctl number other than IOC_NEW", .failed(.invalidArgument),
                because: "the module does nothing else with the node", in: .root
            ) { _ in
                let device = ctest_open_device()
                defer { _ = ctest_close(device) }
                return opened(ctest_ask_device(device, 1, O_CLOEXEC))
            },
        ])

    static let anyIoctlRows = of(
        .anyIoctl,
        [
            .call("before a successful UFFDIO_API", .failed(.invalidArgument)) { scene in
                let raw = Userfaultfd(adopting: ctest_open_raw(), features: [])
                _ = try raw.register(scene.area.whole, modes: .missing)
            },
            .beyond(
                "nr 0x09 after API (EINVAL, not ENOTTY)", .failed(.invalidArgument), because: numbersAreGiven
            ) {
                $0.ask(Ioctl(number: 9, byteCount: 32), $0.area.words, in: $0.source)
            },
            .beyond(
                "wrong size encoded in number (UFFDIO_COPY nr with 32-byte size)", .failed(.invalidArgument),
                because: numbersAreGiven
            ) {
                $0.ask(Ioctl(number: Ioctl.copy.number, byteCount: 32), $0.area.words, in: $0.source)
            },
        ])

    static let handshakeRows = of(
        .handshake,
        [
            .call("EVENT_FORK requested without CAP_SYS_PTRACE", .failed(.notPermitted), in: .nobody) { _ in
                _ = try Userfaultfd(requiring: .forkEvents).features
            },
            .beyond("argp unmapped", .failed(.badAddress), because: "the module passes arguments of its own")
            {
                scene in
                try withRaw { scene.ask(.handshake, at: neverMapped.start, of: $0) }
            },
            .beyond("api != 0xAA", .failed(.invalidArgument), because: "the module knows one version") {
                try zeroed($0, [0xAB, 0, 0])
            },
            .beyond(
                "unknown feature bit", .failed(.invalidArgument),
                because: "the module asks first what there is, and says itself what is missing"
            ) { scene in
                let available = scene.served.uffd.availableFeatures.rawValue
                let unknown = UInt64(1) << UInt64((~available).trailingZeroBitCount)
                return try zeroed(scene, [0xAA, unknown, 0])
            },
            .call("features=0 (returns all available bits, enables none)", .whole) { _ in
                let made = try Userfaultfd()
                #expect(made.features == [])
                #expect(try made.status().features == [])
                #expect(try made.availableFeatures == Userfaultfd.probe().availableFeatures)
                #expect(!made.availableFeatures.isEmpty)
            },
            .beyond(
                "second call on the same fd, even when the first had features=0", .failed(.invalidArgument),
                because: "a descriptor of the module is enabled when it is made"
            ) {
                let argument = try Area(pages: 1)
                return $0.ask(.handshake, [0xAA, 0, 0], in: argument)
            },
            .beyond(
                "argp readable but not writable", .failed(.badAddress),
                because: "the module passes arguments of its own"
            ) { scene in
                try withRaw { try scene.askReadOnly(.handshake, [0xAA, 0, 0], of: $0) }
            },
            .beyond(
                "...and the fd is still un-enabled, so a retry with a good pointer succeeds", .whole,
                because: "the module passes arguments of its own"
            ) { scene in
                try withRaw {
                    #expect(try scene.askReadOnly(.handshake, [0xAA, 0, 0], of: $0) != .whole)
                    return scene.ask(.handshake, [0xAA, 0, 0], in: try Area(pages: 1), of: $0)
                }
            },
        ])
}

private let flagsAreGiven = "the module passes flags of its own"
private let numbersAreGiven = "the module's ioctls are numbered by the kernel's header"

extension Area {
    /// Arguments as good as any.
    fileprivate var words: [UInt64] { [UInt64(start), UInt64(start), UInt64(pageSize), 0, 0] }
}

private func opened(_ descriptor: CInt) -> Provocation.Answer {
    guard descriptor >= 0 else { return .failed(Errno(rawValue: -descriptor)) }
    _ = ctest_close(descriptor)
    return .whole
}

/// A descriptor before its handshake.
private func withRaw(_ body: (CInt) throws -> Provocation.Answer) throws -> Provocation.Answer {
    let raw = ctest_open_raw()
    try #require(raw >= 0)
    defer { _ = ctest_close(raw) }
    return try body(raw)
}

/// A refused handshake leaves nothing of its argument.
private func zeroed(_ scene: Scene, _ words: [UInt64]) throws -> Provocation.Answer {
    let argument = try Area(pages: 1)
    return try withRaw {
        let answer = scene.ask(.handshake, words, in: argument, of: $0)
        #expect((0..<3).map(argument.read) == [0, 0, 0])
        return answer
    }
}
