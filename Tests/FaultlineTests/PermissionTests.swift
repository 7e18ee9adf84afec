import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// What someone without privileges gets. In processes of their own: privileges that are given up are gone.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct PermissionTests {
    @Test func `an ordinary user gets faults of user mode, or is told what to do`() async throws {
        await #expect(processExitsWith: .success) {
            // Refused where the process is an ordinary user's already.
            _ = TestProcess.becomeOrdinaryUser()
            let reactor = try Reactor.start()
            do throws(PagerError) {
                let pager = try await Pager(on: reactor)
                let access = pager.access
                let region = try await pager.map(byteCount: 4 * 4096, handler: NumberedPages(first: 1))
                let thread = FaultingThread { region.load(fromByteOffset: region.pageSize, as: UInt64.self) }
                #expect(await thread.value == 2)
                // A system call that touches a missing page: served, or refused, but never waiting for ever.
                let probe = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
                #expect(await probe.value == (access == .userModeOnly ? nil : [1]))
                await pager.shutdown()
            } catch {
                #expect(error.code == .kernel)
                for part in ["vm.unprivileged_userfaultfd", "CAP_SYS_PTRACE"] {
                    #expect(error.description.contains(part), "\(error)")
                }
            }
            await reactor.shutdown()
        }
    }

    @Test func `a pager on a descriptor for user mode only says so, and ends like any other`() async throws {
        let reactor = try Reactor.start()
        let descriptor = try Userfaultfd(requesting: [.poison], trying: [.userModeOnly])
        let pager = try await Pager(on: reactor, descriptor: descriptor)
        #expect(pager.access == .userModeOnly)
        let region = try await pager.map(byteCount: 4 * SystemPage.size, handler: NumberedPages(first: 1))
        let thread = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
        #expect(await thread.value == 1)
        let start = region.range.start + UInt(SystemPage.size)
        let probe = FaultingThread { MemoryProbe.readThroughKernel(start, count: 1) }
        #expect(await probe.value == nil, "EFAULT, and no zeroes")
        await pager.shutdown()
        await reactor.shutdown()
    }
}
