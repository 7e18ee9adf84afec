import Glibc
import Testing
import Userfault

enum HugePages {
    /// The size in bytes.
    static let size = 2 << 20

    /// Whether the kernel makes transparent ones where that is asked for.
    static var areMade: Bool {
        guard let file = unsafe fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r") else {
            return false
        }
        defer { unsafe fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard unsafe fgets(&line, 128, file) != nil else { return false }
        let text = String(decoding: line.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return !text.contains("[never]")
    }

    /// How much of a range is huge pages, as the kernel tells (/proc/self/smaps).
    static func byteCount(of range: AddressRange) throws -> Int {
        let descriptor = unsafe open("/proc/self/smaps", O_RDONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while case let count = unsafe read(descriptor, &buffer, buffer.count), count > 0 {
            bytes += buffer[..<count]
        }
        var isInside = false
        var sum = 0
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
            let bounds = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            if bounds.count == 2 {
                isInside = bounds[0] < range.end && bounds[1] > range.start
            } else if isInside, words[0] == "AnonHugePages:" {
                sum += (Int(words[1]) ?? 0) << 10
            }
        }
        return sum
    }
}
