import CBaseline

/// What clients ask a server of keys and values for.
struct KeyValueLoad: Sendable {
    var keys: Int
    /// Clients, each with keys of its own.
    var clients: Int
    var seed: UInt64
    /// The share of SET, of the requests.
    var writePercent: Int

    /// With its key and its lengths, such a value fills a block of 4 KiB, and with it a page.
    static let valueBytes = 4064

    /// The same keys, nothing of which is changed.
    var reading: KeyValueLoad {
        var load = self
        load.writePercent = 0
        return load
    }

    /// Calls `body` with the plan of a client.
    func withPlan<R>(
        _ client: Int, of server: String, program: Program?, origin: UInt64 = 0,
        _ body: (inout bench_kv_plan) -> R
    ) -> R {
        unsafe server.withCString { path in
            var plan = unsafe bench_kv_plan()
            unsafe plan.path = path
            unsafe plan.keys = UInt32(keys)
            unsafe plan.value_bytes = UInt32(Self.valueBytes)
            unsafe plan.client = UInt32(client)
            unsafe plan.clients = UInt32(clients)
            unsafe plan.write_percent = UInt32(writePercent)
            unsafe plan.seed = seed
            unsafe plan.origin = origin
            unsafe plan.server = program?.processID ?? 0
            return unsafe body(&plan)
        }
    }

    /// Sets every key of the server.
    func populate(_ server: String, _ program: Program) throws(RunError) {
        let error = unsafe withPlan(0, of: server, program: program) { unsafe bench_kv_populate(&$0) }
        try Self.check(error, "The server could not be filled", program)
    }

    /// Reads every key of the server, and checks that they are as after one of the requests `range` of each client.
    func verify(_ server: String, _ program: Program, after ranges: [ClosedRange<UInt64>]) throws(RunError) {
        for (client, range) in ranges.enumerated() {
            var request: UInt64 = 0
            let error = unsafe withPlan(client, of: server, program: program) {
                unsafe bench_kv_verify(&$0, range.lowerBound, range.upperBound, &request)
            }
            guard error != KeyValue.mismatch else {
                throw .mismatch(
                    "The image of \(program.name) does not show what client \(client) had set at any instant."
                )
            }
            try Self.check(error, "The image could not be checked", program)
        }
    }

    static func check(_ error: CInt, _ what: String, _ program: Program) throws(RunError) {
        switch error {
        case 0: return
        case KeyValue.mismatch: throw .mismatch("\(what): a reply of \(program.name) is wrong.")
        default: throw .failed("\(what): \(System.describe(error)).\(program.complaint)")
        }
    }
}

/// Single calls.
enum KeyValue {
    /// EPROTO: a reply is not what it should be.
    static let mismatch: CInt = 71

    /// Sends one line. Returns the reply: a line, or a text. Blocks.
    static func call(_ server: String, _ line: String, of program: Program) throws(RunError) -> String {
        var reply = [CChar](repeating: 0, count: 16384)
        let error = unsafe bench_kv_call(server, line, &reply, reply.count)
        try KeyValueLoad.check(error, "'\(line)' was not answered", program)
        return String(decoding: reply.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether INFO says that a field has a value.
    static func says(_ field: String, _ value: String, _ server: String, of program: Program) throws(RunError)
        -> Bool
    {
        try call(server, "INFO", of: program).split(whereSeparator: \.isNewline).contains("\(field):\(value)")
    }
}
