import Faultline
import KeyValueStore

extension Server {
    /// What a command means for its connection.
    enum Control {
        case goesOn, ends
        /// The server stops; whether it saves is said, or else an option's matter.
        case stops(saving: Bool?)
    }

    /// Carries out what does not touch the store.
    func control(_ request: [[UInt8]], _ reply: inout Reply) async -> Control {
        let name = String(decoding: request[0], as: UTF8.self).uppercased()
        let arguments = request.dropFirst().map { String(decoding: $0, as: UTF8.self) }
        func refuseCount() -> Control {
            reply.error("ERR wrong number of arguments for '\(name.lowercased())' command")
            return .goesOn
        }
        switch name {
        case "PING":
            guard arguments.count <= 1 else { return refuseCount() }
            if arguments.isEmpty { reply.word("PONG") } else { reply.bulk(request[1]) }
        case "ECHO":
            guard arguments.count == 1 else { return refuseCount() }
            reply.bulk(request[1])
        case "SELECT":
            guard arguments.count == 1 else { return refuseCount() }
            if arguments[0] == "0" { reply.word("OK") } else { reply.error("ERR DB index is out of range") }
        case "COMMAND": reply.array(0)
        case "CONFIG": configuration(arguments, &reply)
        case "INFO": reply.bulk(Array(await information().utf8))
        case "LASTSAVE": reply.number(await saver.status.lastSave)
        case "BGSAVE":
            if await saver.begin() != nil {
                reply.word("Background saving started")
            } else {
                reply.error("ERR Background save already in progress")
            }
        case "SAVE":
            guard let task = await saver.begin() else {
                reply.error("ERR Background save already in progress")
                return .goesOn
            }
            switch await task.value {
            case .success: reply.word("OK")
            case .failure(let error): reply.error("ERR \(error)")
            }
        case "QUIT":
            reply.word("OK")
            return .ends
        case "SHUTDOWN":
            switch arguments.map({ $0.uppercased() }) {
            case []: return .stops(saving: nil)
            case ["SAVE"]: return .stops(saving: true)
            case ["NOSAVE"]: return .stops(saving: false)
            default: reply.error("ERR syntax error")
            }
        default:
            reply.error("ERR unknown command '\(name.prefix(128))'")
        }
        return .goesOn
    }

    private func configuration(_ arguments: [String], _ reply: inout Reply) {
        guard arguments.count == 2, arguments[0].uppercased() == "GET" else {
            return reply.error("ERR only CONFIG GET is supported")
        }
        let pattern = Glob(Array(arguments[1].lowercased().utf8))
        let values = [
            ("appendonly", "no"), ("maxmemory", "\(region.byteCount)"), ("save", ""),
            ("proto-max-bulk-len", "\(requestLimits.argumentLength)"),
        ].filter { pattern.matches(Array($0.0.utf8)) }
        reply.array(values.count * 2)
        for (name, value) in values {
            reply.bulk(Array(name.utf8))
            reply.bulk(Array(value.utf8))
        }
    }

    /// What INFO says.
    private func information() async -> String {
        let statistics = await region.pager.statistics
        let status = await saver.status
        let header = await data.header
        let pageSize = region.pageSize
        func microseconds(_ duration: Duration?) -> Int { duration?.microseconds ?? 0 }
        let sections: [(String, [(String, String)])] = [
            (
                "Server",
                [
                    ("process_id", "\(processID)"),
                    ("uptime_in_seconds", "\(started.duration(to: .now).components.seconds)"),
                ]
            ),
            ("Clients", [("connected_clients", "\(clients.count)")]),
            (
                "Memory",
                [
                    ("used_memory", "\(header.top - header.freeBytes)"), ("maxmemory", "\(header.capacity)"),
                    ("used_memory_dataset", "\(header.usedBytes)"),
                    ("mem_free_blocks", "\(header.freeBytes)"),
                    ("resident_bytes", "\(statistics.presentPages * pageSize)"),
                ]
            ),
            (
                "Persistence",
                [
                    ("loading", loader.isLoaded ? "0" : "1"),
                    ("image_bytes", "\(loader.imagePages * pageSize)"),
                    ("image_loaded_at_first_reply", "\((loader.pagesAtFirstReply ?? 0) * pageSize)"),
                    ("image_loaded_perc", "\(Int(loader.fraction * 100))"),
                    ("rdb_bgsave_in_progress", status.isUnderWay ? "1" : "0"),
                    ("rdb_last_save_time", "\(status.lastSave)"),
                    ("rdb_last_bgsave_status", status.lastFailure == nil ? "ok" : "err"),
                    ("rdb_saves", "\(status.count)"),
                    ("snapshot_pages", "\(status.lastReport?.pages ?? 0)"),
                    ("snapshot_total_us", "\(microseconds(status.lastReport?.total))"),
                    ("snapshot_last_pass_us", "\(microseconds(status.lastReport?.lastPass))"),
                    ("snapshot_longest_hold_us", "\(microseconds(status.lastReport?.longestHold))"),
                ]
            ),
            (
                "Stats",
                [
                    ("total_connections_received", "\(clients.total)"),
                    ("total_commands_processed", "\(commandCount)"),
                ]
            ),
            (
                "Pager",
                [
                    ("pager_faults", "\(statistics.messages)"), ("pager_requests", "\(statistics.requests)"),
                    ("pager_present_pages", "\(statistics.presentPages)"),
                    ("pager_bytes", "\(statistics.bytes)"), ("pager_ioctls", "\(statistics.ioctls)"),
                    ("pager_watched_writes", "\(statistics.watchedWrites)"),
                    ("pager_failures", "\(statistics.failures)"),
                ]
            ),
            ("Keyspace", header.count == 0 ? [] : [("db0", "keys=\(header.count),expires=0")]),
        ]
        return sections.map { name, lines in
            "# \(name)\r\n" + lines.map { "\($0):\($1)\r\n" }.joined()
        }.joined(separator: "\r\n")
    }
}
