import CLibevent

/// A libevent base: one that we made and free, or one that belongs to the host.
@safe struct EventBase {
    let pointer: OpaquePointer
    let isOurs: Bool

    /// The host's base.
    init(host: OpaquePointer) {
        unsafe pointer = host
        isOurs = false
    }

    /// A base without locks: only the loop thread touches it. No priorities either: libevent serves a lower one only
    /// when no higher one is active, which starves it.
    init() throws(ReactorError) {
        let configuration = unsafe event_config_new()
        defer { if let configuration = unsafe configuration { unsafe event_config_free(configuration) } }
        guard let configuration = unsafe configuration else {
            throw ReactorError(.system, "event_config_new", systemError: SystemCall.outOfMemory)
        }
        // No time cache: nobody here asks libevent for the time, and it would be read in every turn.
        let flags =
            EVENT_BASE_FLAG_NOLOCK.rawValue | EVENT_BASE_FLAG_IGNORE_ENV.rawValue
            | EVENT_BASE_FLAG_NO_CACHE_TIME.rawValue
        _ = unsafe event_config_set_flag(configuration, CInt(flags))
        // Edge-triggered events spare a read per wake-up.
        _ = unsafe event_config_require_features(configuration, CInt(EV_FEATURE_ET.rawValue))
        guard let base = unsafe event_base_new_with_config(configuration) else {
            throw ReactorError(.system, "event_base_new_with_config", systemError: SystemCall.lastError)
        }
        unsafe pointer = base
        isOurs = true
    }

    /// Looks for what is ready and runs its callbacks, without waiting.
    func poll() {
        _ = unsafe event_base_loop(pointer, EVLOOP_ONCE | EVLOOP_NONBLOCK)
    }

    /// Waits until something is ready and runs its callbacks.
    func pollWaiting() {
        _ = unsafe event_base_loop(pointer, EVLOOP_ONCE)
    }

    func free() {
        if isOurs { unsafe event_base_free(pointer) }
    }
}

/// The only place where an idle reactor's thread sleeps. Do not rename or inline: off-CPU profiles are filtered by
/// this name.
@inline(never)
func eventReactorWaitsForWork(_ base: EventBase) {
    base.pollWaiting()
}
