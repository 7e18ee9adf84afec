import Faultline
import FaultlineTestKit
import Testing

/// Where the pieces lie that become huge pages, and which of them are tried.
struct HugeFillModelTests {
    private let huge = 2 << 20

    @Test func `pieces lie where the addresses are multiples of a huge page`() {
        for skew in [0, 1, 5, 511] {
            let grid = HugePageGrid(start: UInt(1 << 32 + skew * 4096))
            #expect(HugePageGrid.pages == 512)
            let first = (512 - skew) % 512
            #expect(grid.pieces(in: 0..<512) == (skew == 0 ? 0..<512 : nil))
            #expect(grid.pieces(in: 0..<first + 1024) == first..<first + 1024)
            #expect(grid.pieces(in: first + 1..<first + 1024) == first + 512..<first + 1024)
            #expect(grid.pieces(in: first + 1..<first + 1023) == nil)
            #expect(grid.pieces(in: first..<first + 511) == nil)
        }
    }

    @Test func `a reach is cut where the next piece begins, if that is any way from the page`() {
        let grid = HugePageGrid(start: UInt(1 << 32 + 4096))
        // Pieces begin at 511, 1023, …
        #expect(grid.cut(1000, after: 500, 512) == 511)
        #expect(grid.cut(1023, after: 511, 512) == 1023)
        #expect(grid.cut(1022, after: 511, 512) == 1022)
        #expect(grid.cut(1000, after: 500, 511) == 1000)
        #expect(grid.cut(100, before: 1000, 512) == 511)
        #expect(grid.cut(512, before: 1023, 512) == 512)
        #expect(grid.cut(-500, before: 600, 1024) == -1)
    }

    @Test func `after pieces that fail more and more are left alone`() {
        var filling = HugePageFilling(grid: HugePageGrid(start: 0))
        var tried = 0
        for _ in 0..<2000 where filling.tries() {
            tried += 1
            filling.note(isHuge: false)
        }
        #expect((8...16).contains(tried), "\(tried)")
        while !filling.tries() {}
        filling.note(isHuge: true)
        for _ in 0..<100 {
            let tries = filling.tries()
            #expect(tries)
            filling.note(isHuge: true)
        }
    }

    @Test(arguments: [0, 1, 300], [true, false])
    func `a reader that goes on is filled piece by piece`(skew: Int, isUpwards: Bool) throws {
        var table = FaultTable(pageCount: 20_000)
        var readAhead = ReadAhead(maximum: 512)
        let grid = HugePageGrid(start: UInt(1 << 32 + skew * 4096))
        readAhead.grid = grid
        var pieces = 0
        var faults = 0
        for number in 0..<20_000 {
            let page = isUpwards ? number : 19_999 - number
            guard table.isMissing(page) else { continue }
            faults += 1
            let window = readAhead.plan(page..<page + 1, in: table, room: .max).window
            try #require(window.contains(page) && window.count <= 513)
            if let found = grid.pieces(in: window) { pieces += found.count / 512 }
            table.installMissing(window)
        }
        #expect(pieces >= 34, "of 39")
        #expect(faults <= 20_000 / 512 + 14)
        #expect(readAhead.waste == 0)
    }
}
