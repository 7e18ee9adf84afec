import Glibc

/// Runs of a server of keys and values, the example SnapshotServer as a program, under the load of clients that check every reply.
struct ServeRun {
    /// What came of a start.
    struct Start {
        /// From the moment that the program is started, nanoseconds.
        var firstReply: UInt64
        /// The same, until nothing depends on the image any more.
        var loaded: UInt64
        /// Replies in each interval from that moment on.
        var intervals: [Int]
    }

    /// What came of an image under load.
    struct Image {
        var times: Pauses
        /// From the command to its reply, nanoseconds.
        var time: UInt64
        /// Replies in each interval, from `leadIn` intervals before the command on.
        var intervals: [Int]

        static let leadIn = 10
    }

    /// How an image is taken.
    enum Method: String, CaseIterable {
        /// Not at all: what the machine does to a request meanwhile.
        case none
        case fork
        case live
    }

    /// The path of the program.
    let server: String
    let folder: WorkFolder
    let load: KeyValueLoad

    /// How long a loaded server is measured, nanoseconds.
    private var rest: UInt64 { load.keys < 65_536 ? 80_000_000 : 250_000_000 }
    /// Requests of each client before an image.
    private var leadIn: Int { max(min(5000, load.keys / 10), 50) }

    private var socket: String { "\(folder.path)/socket" }
    private var image: String { "\(folder.path)/image" }
    /// The image of one run: the first one under a second name, until another one takes it.
    private var ownImage: String { "\(folder.path)/run-image" }

    /// Makes the image: a page for each key.
    func prepare() throws(RunError) {
        // The table of keys takes a sixteenth at most.
        let memory = load.keys * System.pageSize / 8 * 9 + (4 << 20)
        let program = try start(image, ["--memory", "\(memory)"])
        try load.populate(socket, program)
        try save(program)
        try end(program)
    }

    /// Starts the server as it is started anywhere, or has it load all of the image first.
    func start(eagerly: Bool) throws(RunError) -> Start {
        let origin = System.now
        let program = try start(image, eagerly ? ["--eager"] : [])
        let clients = try KeyValueClients(load.reading, of: socket, program, origin: origin)
        try clients.waitFor(replies: 1)
        while try !KeyValue.says("loading", "0", socket, of: program) { System.sleep(nanoseconds: 5_000_000) }
        let loaded = System.now - origin
        System.sleep(nanoseconds: rest)
        try clients.stop()
        try end(program)
        // The last interval is not a whole one.
        return Start(firstReply: clients.first, loaded: loaded, intervals: clients.intervals.dropLast())
    }

    /// Takes an image of the loaded server while clients write, and checks what is in it.
    func image(_ method: Method) throws(RunError) -> Image {
        try folder.link("image", as: "run-image")
        defer { folder.clear(prefix: "run-") }
        let way = method == .fork ? "fork" : "live"
        let program = try start(ownImage, ["--eager", "--snapshot", way])
        let origin = System.now
        let clients = try KeyValueClients(load, of: socket, program, origin: origin)
        try clients.waitFor(replies: leadIn)
        let low = clients.replies
        clients.record(true)
        let begin = System.now
        if method == .none {
            try clients.waitFor(replies: leadIn * 4)
        } else {
            try save(program)
        }
        let time = System.now - begin
        // The pause that the image has caused may still last.
        try clients.waitFor(replies: 2)
        clients.record(false)
        try clients.stop()
        let high = clients.replies
        try end(program)
        if method != .none {
            try verify(zip(low, high).map { $0...$1 })
        }
        let first = max(0, Int(Double(begin - origin) / KeyValueClients.interval) - Image.leadIn)
        return Image(
            times: clients.times, time: time, intervals: Array(clients.intervals.dropFirst(first).dropLast()))
    }

    /// Restores the image of this run, and compares every value with what clients had set at one instant.
    private func verify(_ ranges: [ClosedRange<UInt64>]) throws(RunError) {
        let program = try start(ownImage, [])
        try load.verify(socket, program, after: ranges)
        try end(program)
    }

    private func start(_ image: String, _ arguments: [String]) throws(RunError) -> Program {
        try Program(
            server, ["--image", image, "--unix", socket] + arguments, errors: "\(folder.path)/errors")
    }

    private func save(_ program: Program) throws(RunError) {
        let reply = try KeyValue.call(socket, "SAVE", of: program)
        guard reply == "+OK" else { throw .failed("\(program.name) took no image: \(reply).") }
    }

    private func end(_ program: Program) throws(RunError) {
        program.signal(SIGTERM)
        try program.endWell()
    }
}
