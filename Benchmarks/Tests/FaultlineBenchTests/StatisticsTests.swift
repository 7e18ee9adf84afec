import Testing

@testable import FaultlineBench

@Suite struct StatisticsTests {
    @Test func mediansOfOddEvenAndNone() {
        #expect(Statistics.median([3, 1, 2]) == 2)
        #expect(Statistics.median([4, 1, 2, 3]) == 2.5)
        #expect(Statistics.median([]) == 0)
    }

    @Test func quantilesAreNearestRanks() {
        let values = (1...100).map { UInt64($0) }
        #expect(Statistics.quantile(0, ofSorted: values) == 1)
        #expect(Statistics.quantile(0.5, ofSorted: values) == 50)
        #expect(Statistics.quantile(0.99, ofSorted: values) == 99)
        #expect(Statistics.quantile(1, ofSorted: values) == 100)
        #expect(Statistics.quantile(0.5, ofSorted: []) == 0)
    }

    @Test func aDistributionDoesNotCareAboutOrder() {
        let times = (1...1000).map { UInt64($0) }
        let distribution = Distribution(times.shuffled())
        #expect(distribution == Distribution(times))
        #expect(distribution.p50 == 500)
        #expect(distribution.p99 == 990)
        #expect(distribution.curve.first == 1)
        #expect(distribution.curve.last == 1000)
    }

    @Test func numbersInTables() {
        #expect(Table.number(1.005, places: 1) == "1.0")
        #expect(Table.number(-0.04, places: 1) == "0.0")
        #expect(Table.number(12.05, places: 0) == "12")
        #expect(Table.count(1_234_567) == "1,234,567")
        #expect(Table.time(7_041) == "7.04 µs")
    }
}
