import EventReactor
import Glibc
import Testing

/// Two connections of one reactor that talk to each other, over loopback or over a UNIX socket.
struct ConnectionPair: Sendable {
    let near: Connection
    let far: Connection
    let options: Connection.Options

    static func make(
        on reactor: Reactor, _ options: Connection.Options = .init(), isLocal: Bool = false
    ) async throws -> ConnectionPair {
        var listening = Listener.Options()
        listening.connections = options
        let listener = try await reactor.listen(
            on: isLocal ? .unix(path: "\0" + temporarySocketPath()) : .ipv4("127.0.0.1", port: 0), listening)
        let near = try await reactor.connect(to: listener.address, options)
        let far = try await listener.accept()
        await listener.close()
        return ConnectionPair(near: near, far: far, options: options)
    }

    /// Writes until nothing moves any more: the buffers of both ends are full, and the kernel's between them. Over a
    /// UNIX socket, whose buffers do not grow.
    func fill() async throws {
        let piece = [UInt8](repeating: 1, count: 50_000)
        var standstill = 0
        while standstill < 5 {
            let (output, input) = (await near.bufferedBytes().output, await far.bufferedBytes().input)
            if output < options.outputLimit { try await near.write(piece) }
            standstill = output >= options.outputLimit && input >= options.inputLimit ? standstill + 1 : 0
        }
    }
}

/// Sends back what comes, until the peer ends the stream.
func echo(_ connection: Connection) async throws(ReactorError) {
    while true {
        let bytes = try await connection.read()
        if bytes.isEmpty { return try await connection.finishWriting() }
        try await connection.write(bytes)
    }
}

/// A path for a UNIX socket that nobody else uses.
func temporarySocketPath() -> String {
    "/tmp/faultline-\(getpid())-\(UInt32.random(in: 0 ... .max)).socket"
}

/// Bytes that differ from place to place.
func pattern(_ count: Int, from start: Int = 0) -> [UInt8] {
    (start..<start + count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}

/// Has Swift's runtime open what it opens once, at its own time: the pool's threads, and a timerfd for each clock that somebody
/// sleeps by, as the time limit of a test does. For those who count descriptors.
func openRuntimeDescriptors() async throws {
    await Task.detached {}.value
    try await Task.sleep(for: .milliseconds(1), clock: .continuous)
    try await Task.sleep(for: .milliseconds(1), clock: .suspending)
    await (try Reactor.start()).shutdown()
}

/// Descriptors that this process has open.
func openDescriptorCount() -> Int {
    guard let directory = unsafe opendir("/proc/self/fd") else { return -1 }
    defer { unsafe closedir(directory) }
    var count = 0
    while unsafe readdir(directory) != nil { count += 1 }
    // The directory itself, and the two entries that every directory has.
    return count - 3
}

/// Compares with `memcmp(3)`: fast without optimization, too.
func areSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    unsafe left.count == right.count && memcmp(left, right, left.count) == 0
}

/// Lets the loop turn until the condition holds.
func waitUntil(_ reactor: Reactor, _ condition: () async -> Bool) async {
    while !(await condition()) { try? await reactor.sleep(for: .microseconds(200)) }
}

/// Whether a file of any kind exists.
func fileExists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

/// Expects an error of the reactor.
func expectCode(
    _ code: ReactorError.Code, _ location: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async {
    do {
        try await body()
        Issue.record("nothing was thrown", sourceLocation: location)
    } catch let error as ReactorError {
        #expect(error.code == code, "\(error)", sourceLocation: location)
    } catch {
        Issue.record(error, sourceLocation: location)
    }
}
