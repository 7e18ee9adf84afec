/// A value that may be handed around freely but looked at only on the loop thread.
///
/// The way out for what is not `Sendable`: make it on the loop, capture the box anywhere, open it on the loop. Opening it
/// elsewhere traps.
///
/// `@unchecked Sendable`: every access to the value checks the thread. Let go of the last copy on the loop
/// thread too if the value's `deinit` cares.
public struct LoopBound<Value>: @unchecked Sendable {
    /// The reactor whose thread may open the box.
    public let reactor: Reactor
    private var storage: Value

    /// Puts `value` into a box. Loop thread only: traps elsewhere.
    public init(_ value: Value, on reactor: Reactor) {
        reactor.requireLoop("LoopBound.init")
        self.reactor = reactor
        storage = value
    }

    /// The value. Loop thread only: traps elsewhere.
    public var value: Value {
        get {
            reactor.requireLoop("LoopBound.value")
            return storage
        }
        set {
            reactor.requireLoop("LoopBound.value")
            storage = newValue
        }
    }
}
