/// What touches the store, and so must not run on a reactor.
public enum StoreCommand: String, Sendable {
    case get = "GET", set = "SET", del = "DEL", exists = "EXISTS", incr = "INCR", incrby = "INCRBY"
    case decr = "DECR", decrby = "DECRBY"
    case append = "APPEND", strlen = "STRLEN", mget = "MGET", mset = "MSET", dbsize = "DBSIZE"
    case flushall = "FLUSHALL", flushdb = "FLUSHDB", keys = "KEYS", scan = "SCAN"

    /// The command of that name, in capitals or not.
    public init?(name: [UInt8]) {
        guard name.count <= 8 else { return nil }
        self.init(rawValue: String(decoding: name, as: UTF8.self).uppercased())
    }

    /// How many arguments there may be, the name not counted.
    private var arity: ClosedRange<Int> {
        switch self {
        case .get, .incr, .decr, .strlen, .keys: 1...1
        case .set: 2...Int.max
        case .del, .exists, .mget, .scan: 1...Int.max
        case .incrby, .decrby, .append: 2...2
        case .mset: 2...Int.max
        case .dbsize: 0...0
        case .flushall, .flushdb: 0...1
        }
    }

    /// Carries it out.
    ///
    /// - Parameters:
    ///   - request: the name and the arguments.
    ///   - store: what it is about.
    ///   - reply: gets one reply, an error if there was one.
    public func execute(
        _ request: [[UInt8]], in store: inout Store<some StoreMemory>, reply: inout Reply
    ) {
        let arguments = request.dropFirst()
        guard arity.contains(arguments.count), self != .mset || arguments.count.isMultiple(of: 2) else {
            return reply.error("ERR wrong number of arguments for '\(rawValue.lowercased())' command")
        }
        let before = reply.bytes.count
        do throws(StoreError) {
            try carryOut(Array(arguments), in: &store, reply: &reply)
        } catch {
            // Nothing of what was said before holds.
            reply.truncate(to: before)
            switch error {
            case .outOfMemory: reply.error("OOM command not allowed when used memory > 'maxmemory'. \(error)")
            default: reply.error("ERR \(error)")
            }
        }
    }

    private func carryOut(
        _ arguments: [[UInt8]], in store: inout Store<some StoreMemory>, reply: inout Reply
    ) throws(StoreError) {
        switch self {
        case .get: try reply.value(of: arguments[0], in: store)
        case .mget:
            reply.array(arguments.count)
            for key in arguments { try reply.value(of: key, in: store) }
        case .set: try set(arguments, in: &store, reply: &reply)
        case .mset:
            try store.set(
                stride(from: 0, to: arguments.count, by: 2).map { (arguments[$0], arguments[$0 + 1]) })
            reply.word("OK")
        case .del:
            var count = 0
            for key in arguments where try store.remove(key) { count += 1 }
            reply.number(count)
        case .exists:
            var count = 0
            for key in arguments where try store.length(key) != nil { count += 1 }
            reply.number(count)
        case .incr, .incrby, .decr, .decrby: try add(arguments, in: &store, reply: &reply)
        case .append: reply.number(try store.append(arguments[0], arguments[1]))
        case .strlen: reply.number(try store.length(arguments[0]) ?? 0)
        case .dbsize: reply.number(store.header.count)
        case .flushall, .flushdb:
            let way = arguments.first.map { String(decoding: $0, as: UTF8.self).uppercased() }
            guard way == nil || way == "SYNC" || way == "ASYNC" else {
                return reply.error("ERR syntax error")
            }
            store.removeAll()
            reply.word("OK")
        case .keys:
            let pattern = Glob(arguments[0])
            var keys: [[UInt8]] = []
            var cursor = 0
            repeat {
                cursor = try store.scan(from: cursor, about: 1 << 16) {
                    if pattern.matches($0) { keys.append($0) }
                }
            } while cursor != 0
            reply.array(keys.count)
            for key in keys { reply.bulk(key) }
        case .scan: try scan(arguments, in: store, reply: &reply)
        }
    }

    private func set(
        _ arguments: [[UInt8]], in store: inout Store<some StoreMemory>, reply: inout Reply
    ) throws(StoreError) {
        var mustExist: Bool?
        var wantsOld = false
        for option in arguments.dropFirst(2) {
            switch String(decoding: option, as: UTF8.self).uppercased() {
            case "NX" where mustExist == nil: mustExist = false
            case "XX" where mustExist == nil: mustExist = true
            case "GET": wantsOld = true
            // Nothing expires here.
            case "KEEPTTL": break
            default: return reply.error("ERR syntax error")
            }
        }
        if let mustExist, try (store.length(arguments[0]) != nil) != mustExist {
            return wantsOld ? try reply.value(of: arguments[0], in: store) : reply.bulk(nil)
        }
        if wantsOld { try reply.value(of: arguments[0], in: store) }
        try store.set([(arguments[0], arguments[1])])
        if !wantsOld { reply.word("OK") }
    }

    private func add(
        _ arguments: [[UInt8]], in store: inout Store<some StoreMemory>, reply: inout Reply
    ) throws(StoreError) {
        let noInteger = "ERR value is not an integer or out of range"
        var step = 1
        if arguments.count > 1 {
            guard let given = RequestParser.number(arguments[1]) else { return reply.error(noInteger) }
            step = given
        }
        if self == .decr || self == .decrby {
            guard step != .min else { return reply.error("ERR decrement would overflow") }
            step = -step
        }
        var value = 0
        if let length = try store.length(arguments[0]) {
            guard length <= 20, let bytes = try store.value(arguments[0]),
                let old = RequestParser.number(bytes)
            else { return reply.error(noInteger) }
            value = old
        }
        let (sum, overflows) = value.addingReportingOverflow(step)
        guard !overflows else { return reply.error("ERR increment or decrement would overflow") }
        try store.set([(arguments[0], Array(String(sum).utf8))])
        reply.number(sum)
    }

    private func scan(
        _ arguments: [[UInt8]], in store: Store<some StoreMemory>, reply: inout Reply
    ) throws(StoreError) {
        guard let cursor = RequestParser.number(arguments[0]), cursor >= 0 else {
            return reply.error("ERR invalid cursor")
        }
        var pattern = Glob([UInt8(ascii: "*")])
        var wanted = 10
        let options = Array(arguments.dropFirst())
        guard options.count.isMultiple(of: 2) else { return reply.error("ERR syntax error") }
        for index in stride(from: 0, to: options.count, by: 2) {
            switch String(decoding: options[index], as: UTF8.self).uppercased() {
            case "MATCH": pattern = Glob(options[index + 1])
            case "COUNT":
                guard let count = RequestParser.number(options[index + 1]), count > 0 else {
                    return reply.error("ERR value is not an integer or out of range")
                }
                wanted = min(count, 1 << 20)
            default: return reply.error("ERR syntax error")
            }
        }
        var keys: [[UInt8]] = []
        let next = try store.scan(from: cursor, about: wanted) { if pattern.matches($0) { keys.append($0) } }
        reply.array(2)
        reply.bulk(Array(String(next).utf8))
        reply.array(keys.count)
        for key in keys { reply.bulk(key) }
    }
}
