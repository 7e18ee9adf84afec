import CLibevent

/// One `struct event` of libevent. The owner frees it exactly once.
@safe struct LibeventEvent {
    /// What the event is for.
    enum Kind {
        /// A ``DescriptorSource``, for reading or for writing.
        case reading, writing
        /// The same, reported once for each arrival.
        case readingEdges
        /// The ``LoopState`` itself: woken, timer expired, time for an attached reactor's turn.
        case wake, timer, turn
        /// A ``ConnectionCore`` has output to send.
        case output
        /// A ``SignalCore``; the number stands in place of the descriptor.
        case signal
    }

    private let pointer: OpaquePointer

    /// Makes an event whose callback receives `target`, not retained: the owner outlives the event.
    private init(
        _ base: EventBase, _ kind: Kind, _ descriptor: CInt, _ target: AnyObject
    ) throws(ReactorError) {
        let flags: CInt
        let callback: event_callback_fn
        switch kind {
        case .reading:
            flags = EV_READ | EV_PERSIST
            unsafe callback = descriptorCallback
        case .readingEdges:
            flags = EV_READ | EV_PERSIST | EV_ET
            unsafe callback = descriptorCallback
        case .writing:
            flags = EV_WRITE | EV_PERSIST
            unsafe callback = descriptorCallback
        // Edge-triggered: neither descriptor is ever read.
        case .wake:
            flags = EV_READ | EV_PERSIST | EV_ET
            unsafe callback = wakeCallback
        case .timer:
            flags = EV_READ | EV_PERSIST | EV_ET
            unsafe callback = timerCallback
        case .turn:
            flags = 0
            unsafe callback = turnCallback
        case .output:
            flags = EV_WRITE | EV_PERSIST
            unsafe callback = outputCallback
        case .signal:
            flags = EV_SIGNAL | EV_PERSIST
            unsafe callback = signalCallback
        }
        let context = unsafe Unmanaged.passUnretained(target).toOpaque()
        guard let event = unsafe event_new(base.pointer, descriptor, Int16(flags), callback, context) else {
            throw ReactorError(.system, "event_new", systemError: SystemCall.outOfMemory)
        }
        unsafe pointer = event
    }

    /// An event of a source; `kind` is reading or writing.
    init(_ base: EventBase, _ kind: Kind, of source: DescriptorSource) throws(ReactorError) {
        try self.init(base, kind, source.fileDescriptor, source)
    }

    /// An event of the loop itself.
    init(_ base: EventBase, _ kind: Kind, _ descriptor: CInt, of loop: LoopState) throws(ReactorError) {
        try self.init(base, kind, descriptor, loop)
    }

    /// An event of a connection: its socket takes bytes again.
    init(_ base: EventBase, outputOf core: ConnectionCore, _ descriptor: CInt) throws(ReactorError) {
        try self.init(base, .output, descriptor, core)
    }

    /// An event of a signal stream.
    init(_ base: EventBase, signal number: CInt, of core: SignalCore) throws(ReactorError) {
        try self.init(base, .signal, number, core)
    }

    /// Starts to watch. The corresponding C function is `event_add`.
    func add() throws(ReactorError) {
        guard unsafe event_add(pointer, nil) == 0 else {
            throw ReactorError(.system, "event_add", systemError: SystemCall.lastError)
        }
    }

    /// Becomes active in the next iteration of the base, after what is ready by then.
    func addForNextIteration() {
        var zero = timeval()
        _ = unsafe event_add(pointer, &zero)
    }

    /// Stops watching; also takes back an activation that was not delivered yet.
    func remove() {
        _ = unsafe event_del(pointer)
    }

    /// Runs the callback in this iteration, after what is active already.
    func activate() {
        unsafe event_active(pointer, CInt(EV_TIMEOUT), 0)
    }

    /// Stops watching and frees. Allowed inside the event's own callback.
    func free() {
        unsafe event_free(pointer)
    }
}
