import CLibevent

/// The reading half of a connection, and its connecting: libevent's bufferevent.
///
/// Its writing half is not used: it writes with `writev(2)`, which raises SIGPIPE; see ``OutputBuffer``. The owner
/// frees it exactly once and closes the descriptor after that.
@safe struct Bufferevent {
    private let pointer: OpaquePointer
    private let input: OpaquePointer

    /// What a read is to take.
    enum Event {
        case connected
        case endOfStream
        case failed(CInt)
    }

    /// Makes one for a socket. Callbacks go to `core`, not retained: the core outlives the bufferevent.
    init(_ base: EventBase, _ descriptor: CInt, core: ConnectionCore) throws(ReactorError) {
        guard let bufferevent = unsafe bufferevent_socket_new(base.pointer, descriptor, 0),
            let input = unsafe bufferevent_get_input(bufferevent)
        else { throw ReactorError(.system, "bufferevent_socket_new", systemError: SystemCall.outOfMemory) }
        unsafe pointer = bufferevent
        unsafe self.input = input
        let context = unsafe Unmanaged.passUnretained(core).toOpaque()
        unsafe bufferevent_setcb(bufferevent, inputCallback, nil, streamEventCallback, context)
        unsafe bufferevent_disable(bufferevent, Int16(EV_WRITE))
    }

    /// Waits for a `connect(2)` that is in progress.
    func waitForConnection() throws(ReactorError) {
        guard unsafe bufferevent_socket_connect(pointer, nil, 0) == 0 else {
            throw ReactorError(.system, "bufferevent_socket_connect", systemError: SystemCall.lastError)
        }
    }

    /// Starts, or goes on, to read ahead. libevent's own watermark is not used: once it is reached, libevent 2.1
    /// calls back without end until the program has read.
    func startReading() throws(ReactorError) {
        guard unsafe bufferevent_enable(pointer, Int16(EV_READ)) == 0 else {
            throw ReactorError(.system, "bufferevent_enable", systemError: SystemCall.lastError)
        }
    }

    func stopReading() { unsafe bufferevent_disable(pointer, Int16(EV_READ)) }

    /// How many bytes of one connection are read in one turn.
    func setReadsPerTurn(_ bytes: Int) {
        _ = unsafe bufferevent_set_max_single_read(pointer, bytes)
    }

    var inputCount: Int { unsafe evbuffer_get_length(input) }

    /// Takes bytes out; `count` are there.
    func takeInput(_ count: Int) -> [UInt8] {
        // Asked for no room, the standard library writes the length into the empty array that all threads share.
        guard count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = unsafe Int(max(0, evbuffer_remove(input, buffer.baseAddress, count)))
        }
    }

    /// Takes as many bytes as there are and as fit.
    func takeInput(into destination: inout OutputRawSpan) -> Int {
        unsafe destination.withUnsafeMutableBytes { buffer, initialized in
            let room = buffer.count - initialized
            guard room > 0, let start = buffer.baseAddress else { return 0 }
            let count = unsafe Int(max(0, evbuffer_remove(input, start + initialized, room)))
            initialized += count
            return count
        }
    }

    /// The length of the first line without its end, and of the end (`\n` or `\r\n`); `nil` if no line ends yet.
    func firstLine() -> (count: Int, endCount: Int)? {
        var endCount = 0
        let position = unsafe evbuffer_search_eol(input, nil, &endCount, EVBUFFER_EOL_CRLF)
        return unsafe position.pos < 0 ? nil : (position.pos, endCount)
    }

    func dropInput(_ count: Int) { unsafe evbuffer_drain(input, count) }

    /// Stops watching at once and frees. Allowed in its own callbacks.
    func free() {
        unsafe bufferevent_setcb(pointer, nil, nil, nil, nil)
        unsafe bufferevent_disable(pointer, Int16(EV_READ | EV_WRITE))
        // libevent frees the memory in the base's next iteration, or with the base.
        unsafe bufferevent_free(pointer)
    }
}
