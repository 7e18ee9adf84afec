public import Testing
public import Userfault

extension Trait where Self == ConditionTrait {
    /// The test needs a userfaultfd; it is skipped where every way of opening one is refused, with what each of them said.
    public static var requiresUserfaultfd: Self { requiresUserfaultfd([]) }

    /// The test needs a userfaultfd that also serves faults taken inside system calls; it is skipped where only faults of
    /// user mode are permitted.
    public static var requiresKernelFaults: Self { requiresUserfaultfd([], kernelFaults: true) }

    /// The test needs a userfaultfd with these features; it is skipped where the kernel lacks one or does not permit it, with a
    /// reason that names it.
    ///
    /// - Parameters:
    ///   - features: what the test enables, or relies on.
    ///   - kernelFaults: whether faults taken inside system calls must be served too, which a descriptor for user mode only does not do.
    public static func requiresUserfaultfd(_ features: Features, kernelFaults: Bool = false) -> Self {
        if let reason = UserfaultfdRequirement.unmet(features, kernelFaults: kernelFaults) {
            return .disabled("\(reason)")
        }
        return .enabled(if: true)
    }
}

/// What the traits above find out, for tests that must decide otherwise.
public enum UserfaultfdRequirement {
    /// Why a test that needs this cannot run here, or nil if it can. Opens descriptors and closes them again.
    public static func unmet(_ features: Features, kernelFaults: Bool) -> String? {
        do throws(UserfaultfdError) {
            let descriptor = try Userfaultfd(requiring: features)
            if kernelFaults, descriptor.access == .userModeOnly {
                return "needs faults taken inside system calls, and only user-mode-only is permitted here"
            }
            return nil
        } catch {
            return "needs a userfaultfd with \(features): \(error)"
        }
    }
}
