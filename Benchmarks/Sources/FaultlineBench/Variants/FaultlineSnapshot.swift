import EventReactor
import Faultline
import Userfault

/// Faultline's snapshot of a region, to a file.
struct FaultlineSnapshotVariant: SnapshotVariant {
    var name: String { "faultline" }
    var features: Features { [.writeProtectFaults, .writeProtectUnpopulated] }

    func start(_ work: SnapshotWork) async throws -> any RunningSnapshot {
        let reactor = try Reactor.start(.init(name: "snapshot"))
        // The threads of a snapshot are started by the one that asks for it, and run where that does.
        let worker = try WorkerPool(threads: 1, name: "snapshot")
        await reactor.run { System.pinThread(to: work.cpu) }
        await worker.run { System.pinThread(to: work.cpu) }
        let pager = try await Pager(on: reactor)
        let region = unsafe try await pager.register(
            unsafeMemoryAt: work.memory, handler: ZeroFillHandler(),
            options: RegionOptions(modes: .writeProtect))
        return Running(reactor: reactor, worker: worker, pager: pager, region: region)
    }

    private struct Running: RunningSnapshot {
        var reactor: Reactor
        var worker: WorkerPool
        var pager: Pager
        var region: Region

        func take(to path: String) async throws -> Bool {
            let region = self.region
            let task = Task(executorPreference: worker) {
                try await region.snapshot(to: SnapshotFile(path: path))
            }
            _ = try await task.value
            return true
        }

        func stop() async throws {
            try await pager.unmap(region)
            await pager.shutdown()
            await reactor.shutdown()
        }
    }
}
