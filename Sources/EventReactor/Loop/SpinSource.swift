/// Something in which a spinning loop can look for work faster than the kernel's queue of ready descriptors tells of it.
///
/// An addition to a ``DescriptorSource``, not instead of it: when the loop blocks, only descriptors wake it.
package protocol SpinSource: AnyObject {
    /// Looks for work without blocking and, if there is some, does it as the readiness handler would. Called on the
    /// loop thread, again and again while the loop spins; must not block, and must do so little when there is nothing
    /// that it is worth it (a system call).
    ///
    /// - Returns: whether there was work.
    func poll() -> Bool
}

/// A source and its name in stall reports.
struct NamedSpinSource {
    let source: any SpinSource
    let activity: ActivityID?
}

extension Reactor {
    /// Has `source` looked at while the loop spins, until it is removed or the reactor shuts down. Loop thread only
    /// (traps elsewhere); allocates. Has no effect on a reactor that does not spin. When there are more than four, none is
    /// looked at: their descriptors are.
    ///
    /// - Parameters:
    ///   - source: held strongly; its `poll()` may remove it.
    ///   - name: what stall reports call it.
    package func addSpinSource(_ source: any SpinSource, name: @autoclosure () -> String) {
        requireLoop()
        guard loop.spins, loop.phase == .running else { return }
        loop.spinSources.append(NamedSpinSource(source: source, activity: registerActivity(name())))
    }

    /// Undoes ``addSpinSource(_:name:)``. Loop thread only (traps elsewhere).
    package func removeSpinSource(_ source: any SpinSource) {
        requireLoop()
        guard let index = loop.spinSources.firstIndex(where: { $0.source === source }) else { return }
        unregisterActivity(loop.spinSources.remove(at: index).activity)
    }
}

extension LoopState {
    /// Looks at all of them; each may take itself or others out.
    ///
    /// - Returns: whether one had work.
    func pollSpinSources() -> Bool {
        var hadWork = false
        var index = 0
        while index < spinSources.count {
            let entry = spinSources[index]
            if poll(entry) {
                statistics.callbacks &+= 1
                hadWork = true
            }
            index += 1
        }
        return hadWork
    }

    private func poll(_ entry: NamedSpinSource) -> Bool {
        guard let activity = entry.activity, let stallDetector else { return entry.source.poll() }
        let outer = stallDetector.begin(activity)
        defer { stallDetector.end(outer) }
        return entry.source.poll()
    }
}
