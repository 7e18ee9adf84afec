/// The tasks that wait for one descriptor.
///
/// `@unchecked Sendable`: only the loop thread touches its variables.
final class DescriptorWaits: ReadinessHandler, @unchecked Sendable {
    /// One waiting task.
    ///
    /// `@unchecked Sendable`: only the loop thread touches its variables.
    final class Wait: @unchecked Sendable {
        fileprivate var parked: Parked<Result<Void, ReactorError>>?
        fileprivate var isCancelled = false

        fileprivate func finish(_ result: Result<Void, ReactorError>) {
            parked?.resume(result)
            parked = nil
        }
    }

    private let loop: LoopState
    var source: DescriptorSource?
    private var readers: [Wait] = []
    private var writers: [Wait] = []

    init(_ loop: LoopState) {
        self.loop = loop
    }

    func begin(_ wait: Wait, _ part: Readiness, _ parked: Parked<Result<Void, ReactorError>>) {
        if wait.isCancelled { return parked.resume(.failure(.cancelled)) }
        guard let source else { return parked.resume(.failure(.shutDown)) }
        do throws(ReactorError) {
            try source.enable(part)
        } catch {
            return parked.resume(.failure(error))
        }
        wait.parked = parked
        if part == .readable { readers.append(wait) } else { writers.append(wait) }
    }

    func abandon(_ wait: Wait) {
        wait.isCancelled = true
        readers.removeAll { $0 === wait }
        writers.removeAll { $0 === wait }
        wait.finish(.failure(.cancelled))
    }

    func descriptorReady(_ readiness: Readiness) {
        // Stop watching only when nobody waited this time: a task that reads and waits again then costs no system call.
        if readiness.contains(.readable), !release(&readers) { source?.disable(.readable) }
        if readiness.contains(.writable), !release(&writers) { source?.disable(.writable) }
    }

    func descriptorAbandoned() {
        cancel()
    }

    func cancel() {
        source?.cancel()
        source = nil
        for wait in readers + writers { wait.finish(.failure(.shutDown)) }
        readers = []
        writers = []
    }

    private func release(_ waits: inout [Wait]) -> Bool {
        guard !waits.isEmpty else { return false }
        // Resuming only queues jobs; nothing comes back here before the callback ends.
        for wait in waits { wait.finish(.success(())) }
        waits.removeAll(keepingCapacity: true)
        return true
    }
}
