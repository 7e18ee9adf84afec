import Faultline
import Testing
import Userfault

@testable import LazyRestore

struct GuestRegionsTests {
    private let mib = 1 << 20

    private func region(
        _ start: UInt64, _ size: Int, _ offset: Int, _ sizeField: String = #""page_size":4096"#
    ) -> String {
        #"{"base_host_virt_addr":\#(start),"size":\#(size),"offset":\#(offset),\#(sizeField)}"#
    }

    @Test func `regions are read wherever the stream is cut, and in any order`() throws {
        let text =
            "[" + region(0x7f00_0000_0000, mib, mib, #""page_size":4096,"page_size_kib":4096,"n\"]":"\\""#)
            + " , "
            + region(0x7e00_0000_0000, mib, 0, #""page_size_kib":4096"#) + "]"
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count {
            #expect(try GuestRegions.decode(Array(bytes[..<count]), imageByteCount: 2 * mib) == nil)
        }
        let description = try #require(
            try GuestRegions.decode(bytes + Array(" \n".utf8), imageByteCount: 2 * mib))
        #expect(description.areas.map(\.offset) == [mib, 0])
        #expect(description.areas.map(\.range.start) == [0x7f00_0000_0000, 0x7e00_0000_0000])
        #expect(description.areas.allSatisfy { $0.range.byteCount == mib && $0.memory == .privateAnonymous })
    }

    @Test func `huge pages are told by their size`() throws {
        let text = "[" + region(0x7f00_0000_0000, 4 * mib, 0, #""page_size":2097152"#) + "]"
        let area = try #require(
            try GuestRegions.decode(Array(text.utf8), imageByteCount: 4 * mib)?.areas.first)
        #expect(area.memory == .hugePages)
        #expect(area.pageSize == 2 * mib)
    }

    @Test func `what is no description of this image is refused`() {
        let big = Int.max
        let cases = [
            "{", "x", "[]", "[] []", "[1]", "[\(region(4096, 4096, 0))]x", "[{}]",
            "[\(region(4096, 4096, 0))]",  // less than the image
            "[\(region(4096, mib, 1))]", "[\(region(4096, 2 * mib, 0))]", "[\(region(4096, -1, 0))]",
            "[\(region(4096, mib, -4096))]", "[\(region(4096, big, big))]", "[\(region(0, mib, 0))]",
            "[\(region(4097, mib, 0))]", "[\(region(.max, mib, 0))]",
            "[\(region(4096, mib, 0, #""page_size":0"#))]", "[\(region(4096, mib, 0, #""page_size":5000"#))]",
            "[\(region(4096, mib, 0, #""other":1"#))]",
            #"[{"base_host_virt_addr":99999999999999999999,"size":1048576,"offset":0,"page_size":4096}]"#,
            #"[{"base_host_virt_addr":4096.5,"size":1048576,"offset":0,"page_size":4096}]"#,
            "[\(region(4096, mib / 2, 0)),\(region(8192, mib / 2, mib / 2))]",  // they overlap
        ]
        for text in cases {
            #expect(throws: (any Error).self, "\(text)") {
                let description = try GuestRegions.decode(Array(text.utf8), imageByteCount: mib)
                // A bracket that is missing is no error yet.
                try #require(description == nil)
                throw GuestRegionsError(description: "unfinished")
            }
            let isUnfinished = (try? GuestRegions.decode(Array(text.utf8), imageByteCount: mib)) != nil
            #expect(!isUnfinished, "\(text)")
        }
    }

    /// The image of a sparse file may be as long as a file can be.
    @Test func `lengths whose sum is no number are refused`() {
        let size = Int.max - 4095
        let text = "[\(region(4096, size, 0)),\(region(8192, size, 0)),\(region(12288, size, 0))]"
        #expect(throws: GuestRegionsError.self) {
            try GuestRegions.decode(Array(text.utf8), imageByteCount: size)
        }
    }

    @Test func `deep nesting is an error and no overflow of the stack`() {
        let text = String(repeating: "[", count: 20_000) + String(repeating: "]", count: 20_000)
        #expect(throws: (any Error).self) {
            try GuestRegions.decode(Array(text.utf8), imageByteCount: mib)
        }
    }
}
