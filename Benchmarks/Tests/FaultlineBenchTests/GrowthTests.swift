import Testing

@testable import FaultlineBench

@Suite struct GrowthTests {
    private static let sizes = [
        GrowthSize(.space, 1 << 30), GrowthSize(.space, 1 << 40), GrowthSize(.regions, 1),
        GrowthSize(.regions, 37), GrowthSize(.parked, 1), GrowthSize(.parked, 20),
        GrowthSize(.queue, 20),
        GrowthSize(.descriptors, 1), GrowthSize(.descriptors, 12),
    ]

    @Test(arguments: sizes) func everyPageHasAPlaceOfItsOwn(size: GrowthSize) {
        let pages = 700
        let layout = GrowthLayout(size, pages: pages)
        let page = System.pageSize
        // Regions that do not touch each other, and begin anywhere.
        let bases = (0..<layout.regions).map { UInt(1 << 44) + UInt($0 * (layout.regionBytes + 3 * page)) }
        let addresses = layout.addresses(pages, bases: bases)
        #expect(Set(addresses).count == pages)
        for (number, address) in addresses.enumerated() {
            let region = number / layout.pagesPerRegion
            let offset = Int(address - bases[region])
            #expect(offset >= 0 && offset + page <= layout.regionBytes && offset % page == 0)
            #expect(region * layout.pagesPerRegion + layout.page(at: offset) == number)
        }
        if let bytes = size.regionBytes { #expect(layout.regionBytes == bytes) }
    }

    @Test func pagesOfALargeRegionAreSpreadOverIt() {
        let layout = GrowthLayout(GrowthSize(.space, 1 << 40), pages: 20_000)
        let last = layout.addresses(20_000, bases: [0]).last
        #expect(last.map { $0 > 1 << 39 } == true)
        // As many page tables in the small one.
        let small = GrowthLayout(GrowthSize(.space, 1 << 30), pages: 20_000)
        #expect(small.windowPages == layout.windowPages)
    }

    @Test(.enabled(if: UserfaultAccess.probe().isOpen), .timeLimit(.minutes(5)), arguments: sizes)
    func bothServeEveryPage(size: GrowthSize) async throws {
        let warmUp = TouchRun.usualWarmUp
        let run = TouchRun(
            source: try Contents(pages: 600 + warmUp, seed: 3), pages: 600, placement: try Placement(.none),
            threads: 1, pattern: .shuffled, seed: 9)
        let variants: [any Variant] = [
            CGrowthVariant(name: "c", size: size), FaultlineGrowthVariant(name: "faultline", size: size),
        ]
        for variant in variants {
            let sample = try await run.measure(variant)
            #expect(sample.counters.copies >= 600)
            #expect(sample.counters.bytes == UInt64((600 + warmUp) * System.pageSize))
        }
    }

    @Test func wrongContentsAtScatteredAddressesAreFound() throws {
        let right = try Contents(pages: 4, seed: 1)
        let page = UInt(System.pageSize)
        let order = [0, 1, 2, 3].map { right.address + $0 * page }
        try right.requireEqual(at: order, variant: "right")
        #expect(throws: RunError.self) { try right.requireEqual(at: order.reversed(), variant: "wrong") }
    }
}
