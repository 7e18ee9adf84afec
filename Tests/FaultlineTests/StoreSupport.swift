import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Whole stores as arrays, for tests.
extension PageStore {
    func storedBytes(_ range: Range<Int>) async throws -> [UInt8] {
        let memory = try PageMemory(byteCount: range.count)
        try await read([StoreRead(from: range.lowerBound, into: memory, 0..<range.count)])
        return memory.readBytes(0..<range.count)
    }

    func writeBytes(_ bytes: [UInt8], at offset: Int) async throws {
        let memory = try PageMemory(byteCount: bytes.count)
        memory.write(bytes, at: 0)
        try await write([StoreWrite(memory, 0..<bytes.count, to: offset)])
    }
}

/// Suspends until `condition` is true; the test's time limit is how long that may take.
func until(_ condition: () -> Bool) async {
    while !condition() { await Task.yield() }
}

/// Tasks that read, write and trim bytes of a store, each of them bytes of its own in every page, and compare them with what
/// they ought to be.
struct PageSharers {
    let tasks = 4
    let pages: Int
    let steps: Int
    let seed = TestSeed()

    /// Returns where something was wrong, and what the store should hold then.
    func run(on store: some PageStore, holding bytes: [UInt8]) async throws -> (
        failures: [String], model: [UInt8]
    ) {
        let page = SystemPage.size
        let share = page / tasks
        return try await withThrowingTaskGroup(of: (Int, [UInt8], String?).self) { group in
            for task in 0..<tasks {
                group.addTask {
                    var random = TestRandom(seed, stream: UInt64(task))
                    var model = bytes
                    for step in 0..<steps {
                        let start = random.below(pages) * page + task * share
                        let range = start..<start + share
                        switch random.below(10) {
                        case 0..<4:
                            let contents = [UInt8](
                                repeating: UInt8(truncatingIfNeeded: random.next()), count: share)
                            try await store.writeBytes(contents, at: start)
                            model.replaceSubrange(range, with: contents)
                        case 4:
                            try await store.trim([range])
                            model.replaceSubrange(range, with: [UInt8](repeating: 0, count: share))
                        default:
                            if try await store.storedBytes(range) != Array(model[range]) {
                                return (task, model, "step \(step) of task \(task), \(range); \(seed)")
                            }
                        }
                    }
                    return (task, model, nil)
                }
            }
            var result = (failures: [String](), model: bytes)
            for try await (task, model, failure) in group {
                if let failure { result.failures.append(failure) }
                for start in stride(from: task * share, to: pages * page, by: page) {
                    result.model.replaceSubrange(start..<start + share, with: model[start..<start + share])
                }
            }
            return result
        }
    }
}
