import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// What someone without privileges gets. The privileges are taken from one thread only, so that other tests keep theirs.
@Suite(
    .requiresUserfaultfd, .enabled(if: ctest_is_root() != 0, "needs root, to give it up"),
    .timeLimit(.minutes(5)))
struct PrivilegeTests {
    @Test(.enabled(if: refusesOthers, "here everyone may open a userfaultfd"))
    func `each way that was refused is told, with what to do`() throws {
        let error = asNobody { () -> UserfaultfdError? in
            do throws(UserfaultfdError) {
                _ = try Userfaultfd.probe(trying: [.deviceNode, .systemCall])
                return nil
            } catch {
                return error
            }
        }
        let refused = try #require(error)
        #expect(refused.operation == .open)
        #expect(refused.errno == .notPermitted)
        #expect(refused.refusals.map(\.access) == [.deviceNode, .systemCall])
        #expect(refused.refusals.map(\.errno) == [.accessDenied, .notPermitted])
        for part in [
            "/dev/userfaultfd: EACCES", "userfaultfd(2): EPERM", "vm.unprivileged_userfaultfd",
            "CAP_SYS_PTRACE", "seccomp", ".userModeOnly",
        ] {
            #expect(refused.description.contains(part), "\(refused)")
        }
    }

    @Test(.enabled(if: refusesOthers, "here everyone may open a userfaultfd"))
    func `anyone gets user mode only`() throws {
        let capabilities = asNobody { try? Userfaultfd.probe() }
        #expect(capabilities?.access == .userModeOnly)
        #expect(capabilities?.servesKernelFaults == false)
        #expect(capabilities?.refusals.count == 2)
    }

    @Test(.requiresUserfaultfd(.forkEvents))
    func `fork events need a privilege, and are done without where they are optional`() throws {
        let error = asNobody { () -> UserfaultfdError? in
            do throws(UserfaultfdError) {
                _ = try Userfaultfd(requiring: .forkEvents).features
                return nil
            } catch {
                return error
            }
        }
        #expect(error?.operation == .handshake)
        #expect(error?.errno == .notPermitted)
        #expect(error?.missingFeatures == .forkEvents)
        #expect(error?.description.contains("CAP_SYS_PTRACE") == true)

        let features = asNobody { try? Userfaultfd(requesting: [.forkEvents, .threadID]).features }
        #expect(features == .threadID)
    }
}

/// Whether the device node and the sysctl are as they come: for root alone.
private let refusesOthers: Bool = asNobody {
    (try? Userfaultfd.probe(trying: [.deviceNode])) == nil
        && (try? Userfaultfd.probe(trying: [.systemCall])) == nil
}

/// Runs `body` on a thread of its own that is nobody's.
private func asNobody<T>(_ body: () -> T) -> T {
    var result: T?
    withoutActuallyEscaping(body) { body in
        let job = Job {
            precondition(ctest_become_nobody() == 0)
            result = body()
        }
        let context = unsafe Unmanaged.passUnretained(job).toOpaque()
        let thread = unsafe ctest_start_call({ unsafe run($0) }, context)
        _ = unsafe ctest_join(thread)
        job.body = {}
    }
    guard let result else { preconditionFailure("the thread did not run") }
    return result
}

private func run(_ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<Job>.fromOpaque(context).takeUnretainedValue().body()
}

private final class Job {
    var body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}
