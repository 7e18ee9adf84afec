import CLibevent
import Glibc

// File-scope functions, for the reason given in Callbacks.swift. errno is read first: it is that of the call that
// libevent reports.

/// Bytes came.
func inputCallback(_: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<ConnectionCore>.fromOpaque(context).takeUnretainedValue().inputArrived()
}

/// A connection was made, or ended, or failed.
func streamEventCallback(_: OpaquePointer?, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    let systemError = errno
    guard let context = unsafe context else { return }
    let core = unsafe Unmanaged<ConnectionCore>.fromOpaque(context).takeUnretainedValue()
    let what = CInt(what)
    if what & BEV_EVENT_CONNECTED != 0 {
        core.streamEvent(.connected)
    } else if what & BEV_EVENT_ERROR != 0 {
        core.streamEvent(.failed(systemError))
    } else if what & BEV_EVENT_EOF != 0 {
        core.streamEvent(.endOfStream)
    }
}

/// The socket takes bytes again.
func outputCallback(_: CInt, _: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<ConnectionCore>.fromOpaque(context).takeUnretainedValue().outputPossible()
}

/// A connection was accepted; the descriptor is the callee's.
func acceptCallback(
    _: OpaquePointer?, _ descriptor: CInt, _: UnsafeMutablePointer<sockaddr>?, _: CInt,
    _ context: UnsafeMutableRawPointer?
) {
    guard let context = unsafe context else { return SocketCall.close(descriptor) }
    unsafe Unmanaged<ListenerCore>.fromOpaque(context).takeUnretainedValue().accepted(descriptor)
}

/// A connection could not be accepted.
func acceptFailureCallback(_: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
    let systemError = errno
    guard let context = unsafe context else { return }
    unsafe Unmanaged<ListenerCore>.fromOpaque(context).takeUnretainedValue().acceptFailed(systemError)
}

/// A signal came; called once for each time that libevent's handler saw it.
func signalCallback(_ number: CInt, _: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<SignalCore>.fromOpaque(context).takeUnretainedValue().received(number)
}
