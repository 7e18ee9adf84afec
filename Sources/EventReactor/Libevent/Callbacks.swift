import CLibevent

// File-scope functions: a closure written inside isolated code would inherit its isolation and trap when libevent
// calls it.

/// A watched descriptor is ready.
func descriptorCallback(_: CInt, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<DescriptorSource>.fromOpaque(context).takeUnretainedValue()
        .deliver(Readiness(rawValue: what))
}

/// Another thread wants the loop's attention.
func wakeCallback(_: CInt, _: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<LoopState>.fromOpaque(context).takeUnretainedValue().wokenUp()
}

/// The kernel timer expired.
func timerCallback(_: CInt, _: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<LoopState>.fromOpaque(context).takeUnretainedValue().kernelTimerExpired()
}

/// Attached reactors only: the host's base gives us our turn.
func turnCallback(_: CInt, _: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<LoopState>.fromOpaque(context).takeUnretainedValue().attachedTurn()
}
