public import Faultline
import Foundation
import Userfault

/// Why a description of guest memory was not taken.
public struct GuestRegionsError: Error, CustomStringConvertible {
    /// Says what is wrong with it.
    public var description: String
}

/// What a monitor sends: a JSON array of the ranges of its guest's memory, and of nothing else.
///
/// ```json
/// [{"base_host_virt_addr":140000000000000,"size":134217728,"offset":0,"page_size":4096,"page_size_kib":4096}]
/// ```
public enum GuestRegions {
    private struct Region: Decodable {
        var base_host_virt_addr: UInt64
        var size: Int
        var offset: Int
        var page_size: Int?
        /// What monitors before version 1.13 call it: in bytes nevertheless.
        var page_size_kib: Int?
    }

    /// Reads what has come so far.
    ///
    /// - Parameters:
    ///   - bytes: everything since the peer connected.
    ///   - imageByteCount: how long the image is of which the guest's memory is made.
    /// - Returns: nil as long as the array has no end.
    /// - Throws: ``GuestRegionsError`` when it is no such array or does not fit the image; what JSON decoding and
    ///   `MemoryDescription` throw.
    public static func decode(_ bytes: [UInt8], imageByteCount: Int) throws -> MemoryDescription? {
        guard let end = try endOfArray(bytes) else { return nil }
        guard bytes[end...].allSatisfy(isSpace) else {
            throw GuestRegionsError(description: "something follows the array of regions")
        }
        let regions = try JSONDecoder().decode([Region].self, from: Data(bytes[..<end]))
        var total = 0
        var areas: [MemoryDescription.Area] = []
        for region in regions {
            guard let pageSize = region.page_size ?? region.page_size_kib else {
                throw GuestRegionsError(description: "a region has no page_size")
            }
            guard let start = UInt(exactly: region.base_host_virt_addr), region.size > 0, region.offset >= 0,
                region.size <= imageByteCount - total, region.offset <= imageByteCount - region.size
            else {
                throw GuestRegionsError(
                    description:
                        "\(region.size) bytes at \(region.offset) are too many for the image, which has \(imageByteCount)"
                )
            }
            total += region.size
            areas.append(
                MemoryDescription.Area(
                    AddressRange(start: start, byteCount: region.size),
                    memory: pageSize > 4096 ? .hugePages : .privateAnonymous, pageSize: pageSize,
                    offset: region.offset))
        }
        guard total == imageByteCount else {
            throw GuestRegionsError(
                description: "the regions have \(total) bytes, the image has \(imageByteCount)")
        }
        return try MemoryDescription(areas)
    }

    /// Where the array ends; nil if it does not yet. Only brackets and strings count: the rest is the decoder's.
    private static func endOfArray(_ bytes: [UInt8]) throws(GuestRegionsError) -> Int? {
        var depth = 0
        var isString = false
        var isEscaped = false
        for (index, byte) in bytes.enumerated() {
            if isString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isString = false
                }
                continue
            }
            if depth == 0 {
                if isSpace(byte) { continue }
                guard byte == UInt8(ascii: "[") else {
                    throw GuestRegionsError(description: "it does not begin with an array of regions")
                }
            }
            switch byte {
            case UInt8(ascii: "\""): isString = true
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                depth -= 1
                if depth == 0 { return index + 1 }
            default: break
            }
        }
        return nil
    }

    private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }
}
