import Testing
import Userfault

@Suite(.timeLimit(.minutes(5)))
struct DescriptionTests {
    @Test func `option sets print names, and bits without one in hexadecimal`() {
        #expect(Features().description == "[]")
        #expect(Features([.threadID, .exactAddress]).description == "[threadID, exactAddress]")
        #expect(Features(rawValue: 1 << 16 | 1 << 17 | 1 << 40).description == "[move, 0x10000020000]")
        #expect(
            Operations(rawValue: 0x8000_0000_0000_0003).description == "[register, unregister, handshake]")
        #expect(
            Operations(rawValue: 0x3fc).description
                == "[wake, copy, zero, move, writeProtect, mapExisting, poison, 0x200]")
        #expect(RegistrationModes(rawValue: 0xf).description == "[missing, writeProtect, minor, 0x8]")
        #expect(CopyOptions(rawValue: 7).description == "[dontWake, writeProtected, 0x4]")
        #expect(ZeroOptions.dontWake.description == "[dontWake]")
        #expect(PoisonOptions(rawValue: 2).description == "[0x2]")
        #expect(WriteProtectOptions([.protect, .dontWake]).description == "[protect, dontWake]")
        #expect(ContinueOptions(rawValue: 3).description == "[dontWake, writeProtected]")
        #expect(MoveOptions(rawValue: 3).description == "[dontWake, allowSourceHoles]")
    }

    @Test func `every feature of Linux 6_18 has a name`() {
        let all = Features(rawValue: 0x1ffff).description
        #expect(all.split(separator: ",").count == 17)
        #expect(!all.contains("0x"))
    }

    @Test func `error numbers print`() {
        #expect(Errno.exists.description == "EEXIST (File exists)")
        #expect(Errno(rawValue: 4000).description == "errno 4000")
        let known: [Errno] = [
            .notPermitted, .noEntry, .noProcess, .interrupted, .inputOutput, .badDescriptor, .tryAgain,
            .noMemory,
            .accessDenied, .badAddress, .busy, .exists, .noDevice, .invalidArgument, .tooManyFilesInSystem,
            .tooManyFiles, .notATerminal, .noSpace, .noSystemCall,
        ]
        #expect(Set(known.map(\.rawValue)).count == known.count)
        #expect(known.allSatisfy { $0.description.hasPrefix("E") })
    }

    @Test func `an error is a sentence`() {
        let range = AddressRange(start: 0x1000, byteCount: 0x1000)
        let error = UserfaultfdError(operation: .register, errno: .busy, range: range)
        #expect(
            error.description
                == "Registering (UFFDIO_REGISTER) of 0x1000..<0x2000 failed: EBUSY (Device or resource busy). "
                + "Another userfaultfd has registered part of the range.")
        let unknown = UserfaultfdError(operation: .init(rawValue: 99), errno: Errno(rawValue: 999))
        #expect(unknown.description == "Operation 99 failed: errno 999.")
    }

    @Test(
        arguments: [
            (.deviceNode, .noEntry, "--device /dev/userfaultfd"),
            (.deviceNode, .accessDenied, "setfacl"),
            (.deviceNode, .notPermitted, "device controller"),
            (.systemCall, .notPermitted, "sysctl vm.unprivileged_userfaultfd=1"),
            (.systemCall, .noSystemCall, "CONFIG_USERFAULTFD"),
            (.userModeOnly, .notPermitted, "seccomp"),
            (.userModeOnly, .invalidArgument, "5.11"),
            (.systemCall, .tooManyFiles, "ulimit -n"),
            (.systemCall, .tooManyFilesInSystem, "fs.file-max"),
            (.systemCall, .noMemory, "out of memory"),
        ] as [(Userfaultfd.Access, Errno, String)])
    func `a refusal says what to do`(access: Userfaultfd.Access, errno: Errno, advice: String) {
        var refusals = Refusals()
        refusals.append(Refusals.Refusal(access: access, errno: errno))
        let error = UserfaultfdError(operation: .open, errno: errno, refusals: refusals)
        #expect(error.description.contains(advice), "\(error)")
        #expect(error.description.contains("\(access): \(errno)"))
        #expect(error.description.contains(".userModeOnly") == (access != .userModeOnly))
    }

    @Test func `refusals keep their order, one of each way`() {
        var refusals = Refusals()
        #expect(refusals.isEmpty)
        for access in [Userfaultfd.Access.userModeOnly, .systemCall, .deviceNode, .deviceNode] {
            refusals.append(Refusals.Refusal(access: access, errno: .notPermitted))
        }
        #expect(refusals.map(\.access) == [.userModeOnly, .systemCall, .deviceNode])
    }

    @Test(
        arguments: [
            (.privateAnonymous, .missing, [], true),
            (.privateAnonymous, .minor, Features(rawValue: .max), false),
            (.privateAnonymous, .writeProtect, [], false),
            (.privateAnonymous, [.missing, .writeProtect], .writeProtectFaults, true),
            (.privateAnonymous, [], Features(rawValue: .max), false),
            (.privateAnonymous, RegistrationModes(rawValue: 8), Features(rawValue: .max), false),
            (.sharedMemory, .missing, .missingSharedMemory, true),
            (.sharedMemory, .missing, .missingHugePages, false),
            (.sharedMemory, [.missing, .minor], [.missingSharedMemory, .minorSharedMemory], true),
            (.sharedMemory, .writeProtect, .writeProtectFaults, false),
            (.sharedMemory, .writeProtect, .writeProtectSharedMemory, true),
            (.hugePages, .missing, .missingHugePages, true), (.hugePages, .minor, .minorHugePages, true),
            (.hugePages, .writeProtect, .writeProtectSharedMemory, true),
        ] as [(MemoryKind, RegistrationModes, Features, Bool)])
    func `features tell what may be registered`(
        memory: MemoryKind, modes: RegistrationModes, features: Features, isAllowed: Bool
    ) {
        #expect(features.allows(modes, on: memory) == isAllowed)
    }

    @Test func `moving works on private anonymous memory only`() {
        let answered = Operations(rawValue: 0x13c)
        #expect(answered.usable(on: .privateAnonymous).allows([.move, .copy]))
        #expect(!answered.usable(on: .sharedMemory).allows(.move))
        #expect(answered.usable(on: .sharedMemory).allows([.wake, .copy, .zero, .poison]))
    }
}
