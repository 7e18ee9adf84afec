import CLibevent

/// A listening socket: libevent's evconnlistener. The owner frees it exactly once, never within its own callbacks,
/// and closes the descriptor after that.
@safe struct ConnectionListener {
    private let pointer: OpaquePointer

    /// Starts to listen on a bound socket. Callbacks go to `core`, not retained: the core outlives the listener.
    init(_ base: EventBase, _ descriptor: CInt, backlog: CInt, core: ListenerCore) throws(ReactorError) {
        let context = unsafe Unmanaged.passUnretained(core).toOpaque()
        guard
            let listener = unsafe evconnlistener_new(
                base.pointer, acceptCallback, context, UInt32(LEV_OPT_CLOSE_ON_EXEC), max(1, backlog),
                descriptor)
        else { throw ReactorError(socket: "listen", SystemCall.lastError) }
        unsafe pointer = listener
        unsafe evconnlistener_set_error_cb(listener, acceptFailureCallback)
    }

    func enable() { unsafe evconnlistener_enable(pointer) }

    func disable() { unsafe evconnlistener_disable(pointer) }

    func free() { unsafe evconnlistener_free(pointer) }
}
