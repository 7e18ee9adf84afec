/// What is reported, by the names of the JSON output.
enum Metric: String, CaseIterable {
    case latency
    case throughput
    case time
    case timePerPage = "time_per_page"
    /// Of the kernel's copying alone: a floor.
    case copyingPerPage = "copying_per_page"
    case timePerAccess = "time_per_access"
    case faultsPerAccess = "faults_per_access"
    case systemCallsPerAccess = "system_calls_per_access"
    case evictionsPerAccess = "evictions_per_access"
    case writesPerAccess = "writes_per_access"
    case contextSwitchesPerFault = "context_switches_per_fault"
    case ioctlsPerFault = "ioctls_per_fault"
    case copiesPerFault = "copies_per_fault"
    case wakesPerFault = "wakes_per_fault"
    case readsPerFault = "reads_per_fault"
    case messagesPerFault = "messages_per_fault"
    case bytesPerFault = "bytes_per_fault"
    case allocationsPerFault = "allocations_per_fault"
    case slowestToMedian = "slowest_to_median"
    case eexist
    case eagain

    /// The unit, unless a row says otherwise.
    var unit: String {
        switch self {
        case .latency, .time, .timePerPage, .copyingPerPage, .timePerAccess: "ns"
        case .faultsPerAccess, .systemCallsPerAccess, .evictionsPerAccess, .writesPerAccess: "1/access"
        case .throughput: "faults/s"
        case .slowestToMedian: "1"
        case .bytesPerFault: "bytes/fault"
        case .eexist, .eagain: "count"
        default: "1/fault"
        }
    }

    /// In words, for tables and verdicts.
    var title: String {
        switch self {
        case .timePerPage: "time per page"
        case .copyingPerPage: "copying per page"
        case .timePerAccess: "time per access"
        case .contextSwitchesPerFault: "context switches per fault"
        case .ioctlsPerFault: "ioctls per fault"
        case .allocationsPerFault: "allocations per fault"
        case .slowestToMedian: "slowest / median"
        default: rawValue
        }
    }
}

/// What distinguishes a row from others of its scenario.
struct Parameter: Equatable {
    enum Value: Equatable {
        case number(Int)
        case text(String)

        var text: String {
            switch self {
            case .number(let number): String(number)
            case .text(let text): text
            }
        }
    }

    var name: String
    var value: Value

    /// The value for a reader: sizes of many bytes with their unit.
    var label: String {
        guard name == "size", case .number(let count) = value, count >= 1 << 30 else { return value.text }
        return count >= 1 << 40 ? "\(count >> 40) TiB" : "\(count >> 30) GiB"
    }

    static func threads(_ count: Int) -> Parameter { Parameter(name: "threads", value: .number(count)) }
    static func pages(_ count: Int) -> Parameter { Parameter(name: "pages", value: .number(count)) }
    static func pin(_ pinning: Pinning) -> Parameter {
        Parameter(name: "pin", value: .text(pinning.rawValue))
    }
    static func number(_ name: String, _ value: Int) -> Parameter {
        Parameter(name: name, value: .number(value))
    }
    static func text(_ name: String, _ value: String) -> Parameter {
        Parameter(name: name, value: .text(value))
    }

    var json: (String, JSON) {
        switch value {
        case .number(let number): (name, .number(Double(number)))
        case .text(let text): (name, .string(text))
        }
    }
}
