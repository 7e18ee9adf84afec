import Testing
import Userfault

@Suite(.timeLimit(.minutes(5)))
struct AddressRangeTests {
    let range = AddressRange(start: 0x1000, byteCount: 0x2000)

    @Test func `ends where its bytes end`() {
        #expect(range.end == 0x3000)
        #expect(range.contains(0x1000))
        #expect(range.contains(0x2fff))
        #expect(!range.contains(0x3000))
        #expect(!range.contains(0xfff))
        #expect(range.description == "0x1000..<0x3000")
        #expect(AddressRange(start: 0x1000, byteCount: 0).isEmpty)
    }

    @Test(
        arguments: [
            (0x1000, 0x2000, true, true), (0x1000, 0x1000, true, true), (0x2000, 0x1000, true, true),
            (0x0, 0x2000, false, true), (0x2000, 0x2000, false, true), (0x0, 0x5000, false, true),
            (0x0, 0x1000, false, false), (0x3000, 0x1000, false, false), (0x3000, 0, true, false),
        ] as [(UInt, Int, Bool, Bool)])
    func `containing and overlapping`(start: UInt, byteCount: Int, isInside: Bool, overlaps: Bool) {
        let other = AddressRange(start: start, byteCount: byteCount)
        #expect(range.contains(other) == isInside)
        #expect(range.overlaps(other) == overlaps)
        #expect(other.overlaps(range) == overlaps)
        #expect((range.intersection(other) != nil) == overlaps)
        #expect(range.intersection(other) == other.intersection(range))
    }

    @Test func `the intersection is what both have`() {
        let other = AddressRange(start: 0x2000, byteCount: 0x5000)
        #expect(range.intersection(other) == AddressRange(start: 0x2000, byteCount: 0x1000))
        #expect(range.intersection(range) == range)
    }

    @Test func `dropping the first bytes leaves the rest`() {
        #expect(range.droppingFirst(bytes: 0) == range)
        #expect(range.droppingFirst(bytes: 0x800) == AddressRange(start: 0x1800, byteCount: 0x1800))
        #expect(range.droppingFirst(bytes: 0x2000).isEmpty)
    }

    @Test func `alignment is of both ends`() {
        let size = SystemPage.size
        #expect(AddressRange(start: UInt(size), byteCount: 3 * size).isAligned())
        #expect(!AddressRange(start: UInt(size) + 1, byteCount: size).isAligned())
        #expect(!AddressRange(start: UInt(size), byteCount: size + 1).isAligned())
        #expect(SystemPage.start(of: UInt(3 * size + 5)) == UInt(3 * size))
        #expect(SystemPage.roundedUp(0) == 0)
        #expect(SystemPage.roundedUp(1) == size)
        #expect(SystemPage.roundedUp(size) == size)
    }

    @Test func `a negative length is refused`() async {
        await #expect(processExitsWith: .failure) {
            _ = AddressRange(start: 0, byteCount: -1)
        }
    }
}
