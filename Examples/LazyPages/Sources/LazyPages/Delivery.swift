import EventReactor
import Faultline
import Synchronization

/// The memory of one process on its way.
final class Delivery: Sendable {
    /// What a process and the children that it forks have in common.
    private final class Record: Sendable {
        let failures = Mutex<[String]>([])
    }

    let name: String
    private let record: Record
    private let pager: Mutex<Pager?>

    init(_ name: String) {
        self.name = name
        record = Record()
        pager = Mutex(nil)
    }

    /// That of a forked child: its pager reports what goes wrong to the owner of its parent's.
    init(_ name: String, _ pager: Pager, sharing parent: Delivery) {
        self.name = name
        record = parent.record
        self.pager = Mutex(pager)
    }

    func begin(_ pager: Pager) { self.pager.withLock { $0 = pager } }

    /// Pages that nobody gets to see any more.
    var failures: [String] { record.failures.withLock { $0 } }

    /// Takes note of what a pager could not do. On the loop's thread.
    func note(_ failure: FaultFailure, _ log: Log) {
        switch failure.action {
        case .poisoned, .stopped:
            record.failures.withLock { if $0.count < 10 { $0.append("\(failure.range): \(failure.error)") } }
            log(.error, "\(failure.region): \(failure.range) is lost: \(failure.error)")
        case .abandoned, .retrying, .unprotected:
            log(.debug, "\(failure.region): \(failure.range) is late: \(failure.error)")
        case .dropped:
            log(.debug, "\(failure.region): \(failure.range) is not needed: \(failure.error)")
        }
    }

    /// Delivers all that is missing once the restore is complete; if that fails, nothing.
    func complete(after restored: Task<Void, any Error>, _ log: Log) async {
        // Its configuration refers to this object: let go of it in the end.
        let pager = self.pager.withLock { pager in
            defer { pager = nil }
            return pager
        }
        guard let pager else { return }
        do {
            try await restored.value
        } catch {
            return await pager.shutdown(within: .zero)
        }
        do throws(PagerError) {
            let progress = try await pager.prefetchAll()
            if progress.failedPages > 0 {
                record.failures.withLock { $0.append("\(name): \(progress.failedPages) pages") }
                log(.error, "\(name): \(progress.failedPages) pages cannot be delivered")
            }
            await pager.shutdown()
            try await pager.waitUntilStopped()
        } catch {
            do throws(PagerError) {
                await pager.shutdown(within: .zero)
                try await pager.waitUntilStopped()
            } catch {
                if error.code != .processExited {
                    record.failures.withLock { $0.append("\(name): \(error)") }
                    log(.error, "\(name): \(error)")
                } else {
                    log(.information, "\(name) is gone")
                }
            }
        }
        let statistics = await pager.statistics
        log(
            .information,
            "\(name): done after \(statistics.messages) messages, \(statistics.bytes >> 10) KiB were filled in"
        )
    }
}

/// The memory of all processes, those that are forked included.
final class Deliveries: Sendable {
    private struct State {
        var open = 0
        var isSealed = false
        var failures: [String] = []
    }

    /// Each as it comes; ends when no more can come.
    let stream: AsyncStream<Delivery>
    private let input: AsyncStream<Delivery>.Continuation
    private let state = Mutex(State())
    private let log: Log

    init(_ log: Log) {
        self.log = log
        (stream, input) = AsyncStream.makeStream()
    }

    /// Any thread; does not block. A child comes before its parent is finished.
    func add(_ delivery: Delivery) {
        state.withLock { $0.open += 1 }
        input.yield(delivery)
    }

    func finished(_ delivery: Delivery) {
        state.withLock { state in
            state.open -= 1
            for failure in delivery.failures where !state.failures.contains(failure) {
                state.failures.append(failure)
            }
            if state.isSealed, state.open == 0 { input.finish() }
        }
    }

    /// The restore brings no more processes.
    func seal() {
        state.withLock { state in
            state.isSealed = true
            if state.open == 0 { input.finish() }
        }
    }

    /// What could not be delivered.
    var failures: [String] { state.withLock { $0.failures } }
}
