import EventReactor
import Faultline
import Glibc

/// Sorts a file of 64-bit numbers in place, through a region that may hold only a part of it in memory.
@main
struct BeyondMemory {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.count == 2, let mebibytes = Int(arguments[1]), (1...1 << 20).contains(mebibytes)
        else {
            complain(
                "Usage: beyond-memory FILE MIB\nSorts the 64-bit numbers of FILE with MIB mebibytes of memory."
            )
            exit(64)
        }
        do {
            try await sort(arguments[0], budget: mebibytes << 20)
        } catch {
            complain("beyond-memory: \(error)")
            exit(1)
        }
    }

    private static func sort(_ path: String, budget byteCount: Int) async throws {
        let store = try FileStore(path: path, options: FileStore.Options(access: .readWrite))
        guard store.byteCount % 8 == 0, store.byteCount > 0 else {
            throw NotNumbers(path: path, byteCount: store.byteCount)
        }
        let count = store.byteCount / 8
        let reactor = try Reactor.start()
        let pager = try await Pager(on: reactor)
        let budget = try MemoryBudget(byteCount: byteCount)
        let region = try await pager.map(
            store: store, budget: budget,
            options: RegionOptions(name: path, failurePolicy: .retry(limit: 5), readAhead: .adaptive))

        // On a thread of its own: it waits for pages, and Swift's pool has better things to do.
        let clock = ContinuousClock()
        let start = clock.now
        await onThread {
            region.withMutableBytes(0..<count * 8) { bytes in bytes.sortNumbers() }
        }
        try await region.flush()
        let elapsed = clock.now - start
        let statistics = await pager.statistics
        print(
            "\(count) numbers sorted in \(elapsed), \(statistics.evictedPages) pages evicted, "
                + "\(statistics.writtenBytes >> 20) MiB written")
        try await pager.unmap(region, within: .seconds(60))
        await pager.shutdown()
        await reactor.shutdown()
    }

    private static func onThread(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            let entry = Unmanaged.passRetained(
                ThreadEntry {
                    body(); continuation.resume()
                })
            var thread = pthread_t()
            let status = pthread_create(&thread, nil, runThread, entry.toOpaque())
            precondition(status == 0, "there is no thread to be had")
            pthread_detach(thread)
        }
    }

    private static func complain(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// A file that is not made of whole numbers.
struct NotNumbers: Error, CustomStringConvertible {
    let path: String
    let byteCount: Int
    var description: String {
        "\(path) has \(byteCount) bytes, which are not a positive number of 64-bit numbers"
    }
}

private final class ThreadEntry {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}

private func runThread(_ entry: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let entry { Unmanaged<ThreadEntry>.fromOpaque(entry).takeRetainedValue().body() }
    return nil
}
