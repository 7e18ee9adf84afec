import Foundation

/// Lines with the time since the start, written behind the back of whoever logs: the loop never waits for a file.
struct Log: Sendable {
    /// How important a line is; the higher, the less.
    enum Level: Int, Comparable, Sendable {
        case error = 1
        case warning, information, debug

        /// Whether `left` is more important than `right`.
        static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    private let level: Level
    private let lines: AsyncStream<String>.Continuation
    private let writer: Task<Void, Never>
    private let start = ContinuousClock.now

    /// A log that gives its lines to `write`, one after the other, on threads of the pool.
    init(_ level: Level, write: @escaping @Sendable (String) -> Void) {
        self.level = level
        let (stream, lines) = AsyncStream.makeStream(
            of: String.self, bufferingPolicy: .bufferingNewest(10_000))
        self.lines = lines
        writer = Task.detached { for await line in stream { write(line) } }
    }

    /// A log that goes to a descriptor.
    init(_ level: Level, to file: FileHandle) {
        // Whoever cannot be told is not told.
        self.init(level) { try? file.write(contentsOf: Data(($0 + "\n").utf8)) }
    }

    /// Adds a line. Any thread; does not block.
    func callAsFunction(_ level: Level, _ text: @autoclosure () -> String) {
        guard level <= self.level else { return }
        let time = (ContinuousClock.now - start).components
        let stamp = String(format: "(%02lld.%06lld)", time.seconds, time.attoseconds / 1_000_000_000_000)
        let mark = level == .error ? "Error: " : level == .warning ? "Warn: " : ""
        lines.yield("\(stamp) lazy-pages: \(mark)\(text())")
    }

    /// Waits until all is written.
    func finish() async {
        lines.finish()
        await writer.value
    }
}
