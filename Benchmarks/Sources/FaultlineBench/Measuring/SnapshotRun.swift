import Userfault

/// One run: threads write to memory while an image of it is taken.
struct SnapshotRun {
    /// What came of it.
    struct Result {
        var pauses: Pauses
        /// From the beginning of the image to its end, nanoseconds.
        var time: UInt64
    }

    var pages: Int
    var threads: Int
    var seed: UInt64
    var placement: Placement

    /// Operations of each thread before the image is begun.
    private let leadIn = 20_000

    /// Measures `variant`, and verifies the image and what is in the memory at the end.
    func measure(_ variant: any SnapshotVariant) async throws -> Result {
        let memory = try SnapshotMemory(pages: pages, threads: threads, seed: seed)
        // Nobody else has memory at this address, in this process.
        let directory = try System.directory(for: memory.range.byteCount)
        let path = "\(directory)/faultline-bench-\(System.processID)-\(String(memory.range.start, radix: 16))"
        defer { System.remove(path) }
        let running = try await variant.start(SnapshotWork(memory: memory.range, cpu: placement.serving))
        let writers = try SnapshotWriters(memory, cpu: placement.faulting)
        try writers.waitFor(operations: leadIn)
        writers.record(true)
        let begin = System.now
        let hasImage = try await running.take(to: path)
        let time = System.now - begin
        // The pause that the image has caused may still last.
        try writers.waitFor(operations: 2)
        writers.record(false)
        let pauses = writers.stop()
        try await running.stop()
        if hasImage { try memory.verify(fileAt: path, of: "The image by \(variant.name)") }
        try memory.verify(memory.range.start, of: "The memory after \(variant.name)")
        return Result(pauses: pauses, time: time)
    }
}

/// The pauses of writers, counted in buckets.
struct Pauses: Equatable {
    /// How many, and the longest that each bucket holds, nanoseconds.
    var counts: [UInt64]
    var bounds: [Double]
    var longest: Double

    var count: UInt64 { counts.reduce(0, +) }

    /// The shortest time that at least the fraction `q` of the pauses does not exceed.
    func quantile(_ q: Double) -> Double {
        let rank = max(UInt64((q * Double(count)).rounded(.up)), 1)
        var seen: UInt64 = 0
        for (bucket, number) in counts.enumerated() {
            seen += number
            if seen >= rank { return min(bounds[bucket], longest) }
        }
        return longest
    }

    var distribution: Distribution {
        Distribution(p50: quantile(0.5), p99: quantile(0.99), curve: Distribution.places.map(quantile))
    }
}
