/// Told of every request to a handler, for tracing: ``Pager/Configuration/observer``.
///
/// Its methods are called on the reactor's thread, or on the thread on which a handler's task ends, for every request. They must
/// not block, nor touch a registered page, nor write to where a thread of the application may be writing one. Without an
/// observer nothing of this costs anything.
public protocol PagerObserver: Sendable {
    /// A handler is about to be asked.
    ///
    /// - Parameters:
    ///   - id: counts the pager's requests from 1; a request that is asked again has a new one.
    ///   - request: what it is asked for.
    func requestBegan(_ id: UInt64, _ request: FaultRequest)

    /// It has answered, or failed. The pages are installed afterwards.
    ///
    /// - Parameters:
    ///   - id: that of ``requestBegan(_:_:)``.
    ///   - request: the same.
    ///   - error: what it threw; nil if it answered.
    func requestEnded(_ id: UInt64, _ request: FaultRequest, error: (any Error)?)
}
