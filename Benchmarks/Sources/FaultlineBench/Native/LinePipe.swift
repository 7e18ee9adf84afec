import CBaseline
import Glibc

/// A pipe between this program and others: either what they say, in lines, or what they wait for the end of.
final class LinePipe {
    /// The ends; -1 when closed.
    private(set) var reading: CInt = -1
    private(set) var writing: CInt = -1
    private var buffer: [UInt8] = []

    init() throws(RunError) {
        let error = unsafe bench_pipe(&reading, &writing)
        if error != 0 { throw .failed("There is no pipe: \(System.describe(error)).") }
    }

    deinit {
        closeReading()
        closeWriting()
    }

    func closeReading() {
        if reading >= 0 { close(reading) }
        reading = -1
    }

    func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }

    /// The next line, without its end; nil at the end, and when there is none for so long.
    func line(within milliseconds: CInt) -> String? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeFirst(end + 1) }
                return String(decoding: buffer[..<end], as: UTF8.self)
            }
            var bytes = [CChar](repeating: 0, count: 16384)
            let count = unsafe bench_read(reading, &bytes, bytes.count, milliseconds)
            guard count > 0 else { return nil }
            buffer += bytes.prefix(count).map { UInt8(bitPattern: $0) }
        }
    }
}
