import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite struct StripeLayoutTests {
    private let page = SystemPage.size

    private func plan(
        _ layout: StripeLayout, byteCount: Int, pageSize: Int? = nil, reactors: Int = 2
    ) throws -> StripeLayout.Plan {
        let range = AddressRange(start: 1 << 40, byteCount: byteCount)
        return try layout.plan(range, pageSize: pageSize ?? page, reactors: reactors)
    }

    @Test func `stripes cover the region once, in order, each with one reactor`() throws {
        let seed = TestSeed()
        var random = TestRandom(seed)
        for _ in 0..<200 {
            let byteCount = Int.random(in: 1...300, using: &random) * page
            let length = Int.random(in: 1...2 * byteCount, using: &random)
            let reactors = Int.random(in: 1...5, using: &random)
            let plan = try plan(
                StripeLayout(stripeByteCount: length), byteCount: byteCount, reactors: reactors)
            var next = plan.range.start
            for index in 0..<plan.stripeCount {
                let stripe = plan.stripe(index)
                #expect(stripe.start == next && stripe.byteCount > 0 && stripe.byteCount % page == 0)
                #expect(plan.index(of: stripe.start) == index && plan.index(of: stripe.end - 1) == index)
                #expect(plan.reactor(of: index) == index % reactors)
                #expect(stripe.byteCount == plan.stripeByteCount || index == plan.stripeCount - 1)
                next = stripe.end
            }
            #expect(next == plan.range.end, "\(seed)")
            #expect(plan.stripeByteCount - length < page)
        }
    }

    @Test func `the automatic length gives each reactor a share, and is bounded below and above`() throws {
        #expect(try plan(.automatic, byteCount: page, reactors: 4).stripeCount == 1)
        #expect(try plan(.automatic, byteCount: 4 * page, reactors: 4).stripeCount == 4)
        #expect(try plan(.automatic, byteCount: 1 << 30, reactors: 4).stripeByteCount == 4 << 20)
        let large = try plan(.automatic, byteCount: 1 << 40, reactors: 4)
        #expect(large.stripeCount == 1024)
        let huge = try plan(.automatic, byteCount: 6 << 21, pageSize: 2 << 20, reactors: 4)
        #expect(huge.stripeByteCount == 4 << 20)
        #expect(try plan(.automatic, byteCount: Int.max / 2 / page * page).stripeCount <= 1024)
    }

    @Test func `patterns say which reactor has which stripe`() throws {
        let layout = StripeLayout(stripeByteCount: page, placement: .pattern([2, 0, 0]))
        let plan = try plan(layout, byteCount: 7 * page, reactors: 3)
        #expect((0..<7).map(plan.reactor) == [2, 0, 0, 2, 0, 0, 2])
        let one = StripeLayout(placement: .pattern([1]))
        #expect(try self.plan(one, byteCount: 64 * page).stripeCount == 1)
    }

    @Test func `pagers of one reactor take turns, whatever the pattern`() throws {
        let seed = TestSeed()
        var random = TestRandom(seed)
        for _ in 0..<100 {
            let reactors = Int.random(in: 1...4, using: &random)
            let each = Int.random(in: 1...4, using: &random)
            let pattern = (0..<Int.random(in: 1...6, using: &random)).map { _ in random.below(reactors) }
            let range = AddressRange(start: 1 << 40, byteCount: 100 * page)
            let plan = try StripeLayout(stripeByteCount: page, placement: .pattern(pattern)).plan(
                range, pageSize: page, reactors: reactors, pagersPerReactor: each)
            var turns = [Int](repeating: 0, count: reactors)
            for stripe in 0..<100 {
                let reactor = plan.reactor(of: stripe)
                #expect(reactor == pattern[stripe % pattern.count])
                #expect(plan.pager(of: stripe) == reactor + turns[reactor] % each * reactors, "\(seed)")
                turns[reactor] += 1
            }
        }
    }

    @Test func `the stripes that a part touches`() throws {
        let plan = try plan(StripeLayout(stripeByteCount: 3 * page), byteCount: 10 * page)
        func part(_ pages: Range<Int>) -> AddressRange {
            AddressRange(
                start: plan.range.start + UInt(pages.lowerBound * page), byteCount: pages.count * page)
        }
        #expect(plan.indices(of: part(0..<10)) == 0..<4)
        #expect(plan.indices(of: part(2..<4)) == 0..<2)
        #expect(plan.indices(of: part(3..<6)) == 1..<2)
        #expect(plan.indices(of: part(9..<10)) == 3..<4)
        #expect(plan.indices(of: part(4..<4)).isEmpty)
    }

    @Test(arguments: [
        StripeLayout(stripeByteCount: 0), StripeLayout(stripeByteCount: -1),
        StripeLayout(placement: .pattern([])), StripeLayout(placement: .pattern([0, 2])),
        StripeLayout(placement: .pattern([-1])),
    ])
    func `a layout that cannot be is refused`(layout: StripeLayout) {
        let error = #expect(throws: PagerError.self) { try plan(layout, byteCount: 8 * page) }
        #expect(error?.code == .badLayout)
    }
}
