import EventReactor
import Userfault

/// A way to take an image of memory that threads write to, with a name.
protocol SnapshotVariant: Sendable {
    var name: String { get }
    /// What the kernel must have for it.
    var features: Features { get }

    /// Gets ready to take an image of `work.memory`, which holds its contents and is not written to yet.
    func start(_ work: SnapshotWork) async throws -> any RunningSnapshot
}

/// What an image is to be taken of.
struct SnapshotWork: Sendable {
    /// Private anonymous memory, all of it there; outlives whoever takes the image.
    var memory: AddressRange
    /// The CPU of the threads that take it, or -1.
    var cpu: Int32
}

/// Memory of which an image can be taken.
protocol RunningSnapshot: Sendable {
    /// Writes the image to a new file at `path`. False where none is taken.
    func take(to path: String) async throws -> Bool

    /// Gives the memory back.
    func stop() async throws
}

/// The floor: threads write for a while, and nobody takes an image.
struct NoSnapshot: SnapshotVariant {
    var name: String { "none" }
    var features: Features { [] }

    func start(_ work: SnapshotWork) async throws -> any RunningSnapshot { Running() }

    private struct Running: RunningSnapshot {
        /// About as long as the others take.
        private let time: UInt64 = 200_000_000

        func take(to path: String) async throws -> Bool {
            System.sleep(nanoseconds: time)
            return false
        }

        func stop() async throws {}
    }
}

/// A child of fork(2) that writes its copy of the memory, in plain C.
struct ForkSnapshot: SnapshotVariant {
    var name: String { "c-fork" }
    var features: Features { [] }

    func start(_ work: SnapshotWork) async throws -> any RunningSnapshot {
        // The child runs where the thread that forks it does.
        let worker = try WorkerPool(threads: 1, name: "fork")
        await worker.run { System.pinThread(to: work.cpu) }
        return Running(memory: work.memory, worker: worker)
    }

    private struct Running: RunningSnapshot {
        var memory: AddressRange
        var worker: WorkerPool

        func take(to path: String) async throws -> Bool {
            let memory = self.memory
            try await worker.run { () throws(RunError) in try ForkedImage.write(memory, to: path) }
            return true
        }

        func stop() async throws {}
    }
}
