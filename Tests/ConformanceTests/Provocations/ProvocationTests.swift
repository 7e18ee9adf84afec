import CTestSupport
import FaultlineTestKit
import Testing
import Userfault

extension Provocation {
    static let all: [Provocation] =
        systemCallRows + deviceRows + anyIoctlRows + handshakeRows + registerRows + unregisterRows + wakeRows
        + copyRows + zeroRows + writeProtectRows + mapExistingRows + poisonRows + moveRows + accessRows
        + readRows + pollRows + writeRows

    /// The rows for a ground, of these calls or of all. Huge pages need root, as elsewhere.
    static func rows(_ ground: Ground, of calls: Call...) -> [Provocation] {
        all.filter { row in
            row.ground == ground && Backing.all.contains(row.backing)
                && (calls.isEmpty || calls.contains(row.call))
        }
    }
}

@Suite("Every answer of the kernel", .requiresUserfaultfd(anyBacking), .timeLimit(.minutes(5)))
struct ProvocationTests {
    @Test("the list is complete")
    func complete() {
        for call in Provocation.Call.allCases {
            let listed = Provocation.all.filter { $0.call == call && $0.isListed }
            let provoked = listed.count { $0.beyond == nil }
            let impossible = listed.count { $0.beyond?.isEmpty == false }
            #expect(provoked + impossible == call.listedRows, "\(call.rawValue)")
        }
        #expect(Provocation.all.count { $0.isListed } == 234)
        #expect(Set(Provocation.all.map(\.testDescription)).count == Provocation.all.count)
    }

    @Test("opening", arguments: Provocation.rows(.here, of: .systemCall, .device, .anyIoctl, .handshake))
    func opening(row: Provocation) throws { try row.check() }

    @Test(
        "UFFDIO_REGISTER",
        .requiresUserfaultfd(anyProtection.union([.removeEvents, .asynchronousWriteProtect])),
        arguments: Provocation.rows(.here, of: .register))
    func register(row: Provocation) throws { try row.check() }

    @Test("UFFDIO_UNREGISTER", arguments: Provocation.rows(.here, of: .unregister))
    func unregister(row: Provocation) throws { try row.check() }

    @Test("UFFDIO_WAKE", .requiresUserfaultfd(.removeEvents), arguments: Provocation.rows(.here, of: .wake))
    func wake(row: Provocation) throws { try row.check() }

    @Test(
        "UFFDIO_COPY", .requiresUserfaultfd([.removeEvents, .poison, .writeProtectUnpopulated]),
        arguments: Provocation.rows(.here, of: .copy))
    func copy(row: Provocation) throws { try row.check() }

    @Test(
        "UFFDIO_ZEROPAGE", .requiresUserfaultfd([.removeEvents, .poison, .writeProtectUnpopulated]),
        arguments: Provocation.rows(.here, of: .zero))
    func zero(row: Provocation) throws { try row.check() }

    @Test(
        "UFFDIO_WRITEPROTECT", .requiresUserfaultfd(anyProtection.union(.removeEvents)),
        arguments: Provocation.rows(.here, of: .writeProtect))
    func writeProtect(row: Provocation) throws { try row.check() }

    @Test(
        "UFFDIO_CONTINUE", .requiresUserfaultfd([.minorSharedMemory, .minorHugePages, .removeEvents]),
        arguments: Provocation.rows(.here, of: .mapExisting))
    func mapExisting(row: Provocation) throws { try row.check() }

    @Test(
        "UFFDIO_POISON", .requiresUserfaultfd([.removeEvents, .poison, .writeProtectUnpopulated]),
        arguments: Provocation.rows(.here, of: .poison))
    func poison(row: Provocation) throws { try row.check() }

    @Test(
        "UFFDIO_MOVE", .requiresUserfaultfd([.move, .poison, .removeEvents]),
        arguments: Provocation.rows(.here, of: .move))
    func move(row: Provocation) throws { try row.check() }

    @Test(
        "access to poisoned pages", .requiresUserfaultfd(.poison),
        arguments: Provocation.rows(.here, of: .access))
    func access(row: Provocation) throws { try row.check() }

    @Test("read, poll and write", arguments: Provocation.rows(.here, of: .read, .poll, .write))
    func read(row: Provocation) throws { try row.check() }

    @Test(
        "what needs a process of its own", .requiresUserfaultfd([.poison, .move, .writeProtectFaults]),
        arguments: Provocation.rows(.alone))
    func alone(row: Provocation) async throws {
        let pages = try row.backing.borrowPages()
        await #expect(processExitsWith: .success) { [name = row.testDescription as String] in
            let row = try #require(Provocation.all.first { $0.testDescription == name })
            try row.check()
        }
        withExtendedLifetime(pages) {}
    }

    @Test(
        "what is refused without privileges",
        .enabled(if: refusesOthers, "needs a system that lets root alone open a userfaultfd"),
        arguments: Provocation.rows(.nobody))
    func nobody(row: Provocation) async throws {
        let scene = try row.scene()
        let thread = FaultingThread { () -> Result<Provocation.Answer, any Error>? in
            guard ctest_is_root() == 0 || ctest_become_nobody() == 0 else { return nil }
            return row.attempt(scene)
        }
        let result = await thread.value
        try row.judge(try #require(result))
    }

    @Test(
        "what needs privileges", .enabled(if: ctest_is_root() != 0, "needs root"),
        arguments: Provocation.rows(.root))
    func root(row: Provocation) throws { try row.check() }

    @Test(
        "what is pinned", .requiresUserfaultfd(.move),
        .enabled(if: hasPinModule || canPinOtherwise, noPinning), arguments: Provocation.rows(.pinned))
    func pinned(row: Provocation) throws { try row.check() }

    @Test(
        "what is so since Linux 6.17", .enabled(if: isLinux(6, 17), "needs Linux 6.17"),
        arguments: Provocation.rows(.linux6_17))
    func recent(row: Provocation) throws { try row.check() }
}

/// Whether device node and sysctl are as they come. Also true for those who are refused themselves.
private let refusesOthers =
    ctest_is_root() == 0
    ? (try? Userfaultfd.probe(trying: [.deviceNode, .systemCall])) == nil
    : readText("/proc/sys/vm/unprivileged_userfaultfd")?.hasPrefix("0") == true
