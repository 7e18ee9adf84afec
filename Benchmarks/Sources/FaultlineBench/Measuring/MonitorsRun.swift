import CBaseline
import Glibc

/// Stand-ins for virtual machine monitors, each a process with memory that one process serves: the example LazyRestore.
final class MonitorsRun {
    /// What came of some monitors that touched their memory at once.
    struct Result {
        /// Pages that were touched, each for the first time, by all of them.
        var pages: Int
        /// From their release to the end of the last, nanoseconds.
        var elapsed: UInt64
        /// From their release to the end of each, ascending, nanoseconds.
        var ends: [UInt64]
        /// The middle and the 99th percentile of a touch, for each of them, nanoseconds.
        var medians: [Double]
        var p99s: [Double]
        /// Of the server, by its own count: messages and bytes for all monitors.
        var messages: Int
        var mebibytes: Int
        /// Of the server, while they touched.
        var contextSwitches: UInt64

        /// How much longer than the one in the middle the last one took.
        var unfairness: Double {
            Double(ends.last ?? 0) / max(Statistics.median(ends.map { Double($0) }), 1)
        }
    }

    private let monitor: String
    private let mebibytes: Int
    private let folder: WorkFolder
    private let server: Program
    /// Lines of the server's log that have been read.
    private var seen = 0

    private var socket: String { "\(folder.path)/socket" }
    private var log: String { "\(folder.path)/server" }
    /// How long anything may take, milliseconds.
    private let patience: CInt = 120_000

    /// Makes the memory file of a snapshot and starts the server.
    ///
    /// - Parameters:
    ///   - programs: the paths of `lazy-restore` and `monitor-stand-in`.
    ///   - mebibytes: of each monitor's memory.
    init(_ programs: [String], mebibytes: Int) throws(RunError) {
        monitor = programs[1]
        self.mebibytes = mebibytes
        folder = try WorkFolder(room: (mebibytes + 16) << 20)
        let image = "\(folder.path)/memory"
        let maker = try Program(
            monitor, ["--make-image", image, "--mib", "\(mebibytes)"], errors: "\(folder.path)/errors")
        try maker.endWell()
        server = try Program(
            programs[0], ["--socket", "\(folder.path)/socket", "--memory", image],
            errors: "\(folder.path)/server")
        _ = try newLines(until: 1) { $0.hasPrefix("serving ") }
    }

    /// The pages of one monitor.
    var pagesOfEach: Int { (mebibytes << 20) / System.pageSize }

    /// Has so many monitors touch `pages` pages between them, in an order that follows from `seed`.
    func measure(monitors count: Int, pages: Int, seed: Int) throws(RunError) -> Result {
        let gate = try LinePipe()
        let said = try LinePipe()
        let own = max(pages / count, 1)
        var monitors: [Program] = []
        for number in 0..<count {
            monitors.append(
                try Program(
                    monitor,
                    [
                        "--socket", socket, "--mib", "\(mebibytes)", "--threads", "1", "--count", "\(own)",
                        "--seed", "\(seed + number)", "--gate", "--wait",
                    ], errors: "\(folder.path)/errors", input: gate.reading, output: said.writing))
        }
        gate.closeReading()
        said.closeWriting()
        for _ in monitors {
            guard said.line(within: patience) == "ready" else { throw failure("is not ready", monitors[0]) }
        }
        let switches = bench_context_switches_of(server.processID)
        let release = System.now
        gate.closeWriting()
        var reports: [[String: Int]] = []
        for _ in monitors {
            guard let line = said.line(within: patience) else { throw failure("does not end", monitors[0]) }
            reports.append(Self.fields(line))
        }
        let after = bench_context_switches_of(server.processID)
        let touched = reports.reduce(0) { $0 + ($1["touched"] ?? 0) }
        guard reports.allSatisfy({ $0["wrong"] == 0 }), touched == own * count else {
            throw .mismatch("A monitor has found wrong contents.\(monitors[0].complaint)")
        }
        for monitor in monitors { monitor.signal(SIGKILL) }
        for monitor in monitors { _ = try monitor.end() }
        // All of them have gone before the next ones come.
        let lines = try newLines(until: count) { $0.contains(": gone after ") }
        let counts = lines.filter { $0.contains(": gone after ") }.map(Self.numbers)
        let ends = reports.map { UInt64($0["end"] ?? 0) &- release }.sorted()
        return Result(
            pages: touched, elapsed: ends.last ?? 0, ends: ends,
            medians: reports.map { Double($0["p50"] ?? 0) }, p99s: reports.map { Double($0["p99"] ?? 0) },
            messages: counts.reduce(0) { $0 + $1.0 }, mebibytes: counts.reduce(0) { $0 + $1.1 },
            contextSwitches: after - switches)
    }

    /// Ends the server.
    func end() throws(RunError) {
        server.signal(SIGTERM)
        try server.endWell()
    }

    private func failure(_ what: String, _ monitor: Program) -> RunError {
        .failed("A monitor \(what).\(monitor.complaint)\(server.complaint)")
    }

    /// What the server has written since it was last asked, when there are so many lines of a kind in it.
    private func newLines(until count: Int, _ isMeant: (Substring) -> Bool) throws(RunError) -> [Substring] {
        let limit = System.now + UInt64(patience) * 1_000_000
        while true {
            let text = System.text(of: log) ?? ""
            let lines = Array(text.split(separator: "\n").dropFirst(seen))
            if text.hasSuffix("\n"), lines.count(where: isMeant) >= count {
                seen += lines.count
                return lines
            }
            guard !server.hasExited, System.now < limit else {
                throw .failed("\(server.name) did not do what it should.\(server.complaint)")
            }
            System.sleep(nanoseconds: 2_000_000)
        }
    }

    /// The numbers of `{"touched":3,"wrong":0,…}`; fractions are left out.
    static func fields(_ line: String) -> [String: Int] {
        var fields: [String: Int] = [:]
        for part in line.split(whereSeparator: { "{},".contains($0) }) {
            let pair = part.split(separator: ":")
            guard pair.count == 2, let value = Int(pair[1]) else { continue }
            fields[String(pair[0].filter { $0 != "\"" })] = value
        }
        return fields
    }

    /// The faults and MiB of a line such as `monitor 7: gone after 3 faults, 1 MiB`.
    private static func numbers(_ line: Substring) -> (Int, Int) {
        let words = line.split(separator: " ")
        guard let after = words.firstIndex(of: "after"), words.count > after + 3 else { return (0, 0) }
        return (Int(words[after + 1]) ?? 0, Int(words[after + 3]) ?? 0)
    }
}
