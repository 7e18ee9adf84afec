/// A watched descriptor. Loop thread only; made by ``Reactor/addDescriptor(_:name:interest:trigger:handler:)``.
///
/// The descriptor stays yours: cancel the source first, then close it.
public final class DescriptorSource {
    /// The descriptor.
    public let fileDescriptor: CInt
    /// The name in reports.
    public let name: String
    let handler: any ReadinessHandler
    private let loop: LoopState
    private let activity: ActivityID
    /// Both are `nil` once cancelled.
    private var reading: LibeventEvent?
    private var writing: LibeventEvent?
    private var enabled: Readiness = []
    private let interest: Readiness

    init(
        _ loop: LoopState, _ fileDescriptor: CInt, name: String, interest: Readiness,
        trigger: ReadinessTrigger, enabled: Bool, handler: any ReadinessHandler
    ) throws(ReactorError) {
        self.loop = loop
        self.fileDescriptor = fileDescriptor
        self.name = name
        self.handler = handler
        self.interest = interest
        activity = loop.stallDetector?.register(name) ?? .job
        do throws(ReactorError) {
            if interest.contains(.readable) {
                reading = try LibeventEvent(loop.base, trigger == .edge ? .readingEdges : .reading, of: self)
            }
            if interest.contains(.writable) {
                writing = try LibeventEvent(loop.base, .writing, of: self)
            }
            if enabled { try enable(interest) }
        } catch {
            freeEvents()
            loop.stallDetector?.unregister(activity)
            throw error
        }
        loop.sources[fileDescriptor] = self
    }

    /// Whether ``cancel()`` was called, by you or by shutdown.
    public var isCancelled: Bool { reading == nil && writing == nil }

    /// Whether readiness is reported at present. Setting it makes one `epoll_ctl(2)` call at the next wait and
    /// allocates nothing; setting it after ``cancel()`` has no effect.
    public var isEnabled: Bool {
        get { !enabled.isEmpty }
        set {
            // Cannot fail for want of memory the second time, nor for the descriptor while it is open.
            if newValue { try? enable(interest) } else { disable(interest) }
        }
    }

    /// Starts to report part of the interest.
    func enable(_ part: Readiness) throws(ReactorError) {
        if part.contains(.readable), !enabled.contains(.readable), let reading {
            try reading.add()
            enabled.insert(.readable)
        }
        if part.contains(.writable), !enabled.contains(.writable), let writing {
            try writing.add()
            enabled.insert(.writable)
        }
    }

    func disable(_ part: Readiness) {
        if part.contains(.readable), enabled.contains(.readable) { reading?.remove() }
        if part.contains(.writable), enabled.contains(.writable) { writing?.remove() }
        enabled.subtract(part)
    }

    /// Stops watching for good; the handler is not called again, not even for what is ready already. Does not close
    /// the descriptor. Allowed inside the handler; further calls have no effect.
    public func cancel() {
        guard !isCancelled else { return }
        freeEvents()
        loop.stallDetector?.unregister(activity)
        if loop.sources[fileDescriptor] === self { loop.sources[fileDescriptor] = nil }
    }

    private func freeEvents() {
        enabled = []
        reading?.free()
        writing?.free()
        reading = nil
        writing = nil
    }

    @inline(__always)
    func deliver(_ readiness: Readiness) {
        loop.callbackBegins()
        loop.statistics.callbacks &+= 1
        if let stallDetector = loop.stallDetector {
            let outer = stallDetector.begin(activity)
            handler.descriptorReady(readiness)
            stallDetector.end(outer)
        } else {
            handler.descriptorReady(readiness)
        }
    }
}

@available(*, unavailable)
extension DescriptorSource: Sendable {}
