/// Where it was measured.
struct Machine {
    var kernel: String
    var cpu: String
    var cores: Int
    /// Bytes.
    var memory: Int
    var pageSize: Int
    var swift: String
    var userfaultfd: String

    init(access: UserfaultAccess) {
        kernel = System.kernelRelease
        let info = (System.text(of: "/proc/cpuinfo") ?? "").split(separator: "\n")
        cpu = Machine.field("model name", in: info) ?? "unknown"
        cores = info.count { $0.hasPrefix("processor") }
        let memoryInfo = (System.text(of: "/proc/meminfo") ?? "").split(separator: "\n")
        let kibibytes = Machine.field("MemTotal", in: memoryInfo)?.split(separator: " ").first
        memory = (kibibytes.flatMap { Int($0) } ?? 0) * 1024
        pageSize = System.pageSize
        swift = Machine.compiler
        userfaultfd = access.description
    }

    var json: JSON {
        .object([
            ("kernel", .string(kernel)),
            ("cpu", .string(cpu)),
            ("cores", .number(Double(cores))),
            ("memory", .number(Double(memory))),
            ("page_size", .number(Double(pageSize))),
            ("swift", .string(swift)),
            ("userfaultfd", .string(userfaultfd)),
        ])
    }

    /// One line.
    var text: String {
        let gibibytes = Table.number(Double(memory) / 1_073_741_824, places: 1)
        return """
            Linux \(kernel), \(cpu), \(cores) cores, \(gibibytes) GiB, pages of \(pageSize) bytes, Swift \(swift), \
            userfaultfd by \(userfaultfd)
            """
    }

    private static func field(_ name: String, in lines: [Substring]) -> String? {
        guard let line = lines.first(where: { $0.hasPrefix(name) }), let colon = line.firstIndex(of: ":")
        else {
            return nil
        }
        return String(line[line.index(after: colon)...]).trimmed
    }

    private static var compiler: String {
        #if compiler(>=6.4)
            "6.4 or newer"
        #elseif compiler(>=6.3)
            "6.3"
        #else
            "6.2"
        #endif
    }
}
