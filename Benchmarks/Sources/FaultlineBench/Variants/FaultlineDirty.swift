import EventReactor
import Faultline
import Userfault

/// Faultline's tracker of written pages, with either engine, on ordinary memory.
struct FaultlineDirtyVariant: DirtyVariant {
    var name: String
    var engine: DirtyTracker.Engine

    var features: Features {
        engine == .messages
            ? .writeProtectFaults : [.writeProtectFaults, .asynchronousWriteProtect]
    }

    func start(_ work: DirtyWork) async throws -> any RunningDirty {
        let memory = try CDirty(.none, work)
        let range = AddressRange(start: memory.base, byteCount: work.source.byteCount)
        var reactor: Reactor?
        if engine == .messages {
            let started = try Reactor.start(.init(name: "dirty"))
            await started.run { System.pinThread(to: work.cpu) }
            reactor = started
        }
        let tracker = try await DirtyTracker(tracking: range, engine: engine, on: reactor)
        return Running(memory: memory, tracker: tracker, reactor: reactor)
    }

    private struct Running: RunningDirty {
        var memory: CDirty
        var tracker: DirtyTracker
        var reactor: Reactor?

        var base: UInt { memory.base }

        func collect() async throws -> DirtySet? {
            let begin = System.now
            let pages = try await tracker.collect()
            let time = System.now - begin
            var set = DirtySet(pages: tracker.range.byteCount / tracker.pageSize)
            set.time = time
            for range in pages.ranges {
                let first = Int(range.start - base) / pages.pageSize
                for page in first..<first + range.byteCount / pages.pageSize { set.insert(page) }
            }
            return set
        }

        func stop() async throws -> Counters {
            await tracker.stop()
            await reactor?.shutdown()
            return try await memory.stop()
        }
    }
}
