import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// The tables against models that are too simple to be wrong.
@Suite(.timeLimit(.minutes(5)))
struct TableModelTests {
    let seed = TestSeed()

    @Test(arguments: [1, 63, 64, 65, 500])
    func `PageBitmap is a set of pages`(pageCount: Int) throws {
        var random = TestRandom(seed, stream: UInt64(pageCount))
        var bitmap = PageBitmap(pageCount: pageCount)
        var model: Set<Int> = []
        for step in 0..<1500 {
            let pages = random.range(within: pageCount)
            if random.chance(50) {
                bitmap.insert(pages)
                model.formUnion(pages)
            } else {
                bitmap.remove(pages)
                model.subtract(pages)
            }
            let page = random.below(pageCount)
            let limit = page + random.below(pageCount - page + 1)
            let value = random.chance(50)
            let first = (page..<limit).first { model.contains($0) == value }
            let run = first.map { first in
                first..<((first..<limit).first { model.contains($0) != value } ?? limit)
            }
            try #require(bitmap.population == model.count, "step \(step), \(seed)")
            try #require(bitmap.contains(page) == model.contains(page), "step \(step), \(seed)")
            try #require(bitmap.first(value, from: page, below: limit) == first, "step \(step), \(seed)")
            try #require(bitmap.nextRun(value, from: page, below: limit) == run, "step \(step), \(seed)")
        }
    }

    @Test func `RangeIndex finds what a search through all ranges finds`() throws {
        var random = TestRandom(seed)
        var index = RangeIndex<Int>()
        var model: [(range: AddressRange, value: Int)] = []
        for step in 0..<4000 {
            let start = UInt(1000 + random.below(500))
            let range = AddressRange(start: start, byteCount: 1 + random.below(random.chance(80) ? 8 : 100))
            let overlaps = model.filter { $0.range.overlaps(range) }.map(\.range)
            try #require(
                index.firstOverlap(range) == overlaps.min { $0.start < $1.start }, "step \(step), \(seed)")
            if random.chance(60) {
                let isFree = overlaps.isEmpty
                let wasInserted = index.insert(step, for: range)
                try #require(wasInserted == isFree, "step \(step), \(seed)")
                if isFree { model.append((range, step)) }
            } else {
                // Now one that is there, now one that may not be.
                let doomed = random.chance(70) ? model.randomElement(using: &random)?.range ?? range : range
                let position = model.firstIndex { $0.range == doomed }
                let expected = position.map { model.remove(at: $0).value }
                let removed = index.remove(doomed)
                try #require(removed == expected, "step \(step), \(seed)")
            }
            let address = UInt(990 + random.below(620))
            let found = model.first { $0.range.contains(address) }?.value
            try #require(index.value(at: address) == found, "step \(step), \(seed)")
            // The same place again and again, as sources are, now and then another one, or the end of all addresses.
            for _ in 0..<random.below(4) {
                let place = random.chance(95) ? UInt(1000 + step / 100 * 10) : UInt.max - 50
                let asked = AddressRange(start: place + UInt(random.below(40)), byteCount: random.below(20))
                let isTaken = model.contains { $0.range.overlaps(asked) }
                let answer = index.overlaps(asked)
                try #require(answer == isTaken, "\(asked) in step \(step), \(seed)")
            }
            try #require(
                index.count == model.count && index.isEmpty == model.isEmpty, "step \(step), \(seed)")
        }
        let inOrder = model.sorted { $0.range.start < $1.range.start }.map(\.value)
        #expect(index.values == inOrder, "\(seed)")
    }

    private enum PageState { case missing, inFlight, present }

    @Test func `FaultTable keeps one state for each page`() throws {
        var random = TestRandom(seed)
        let pageCount = 200
        var table = FaultTable(pageCount: pageCount)
        var model = [PageState](repeating: .missing, count: pageCount)
        for step in 0..<4000 {
            let pages = random.range(within: pageCount)
            switch random.below(4) {
            case 0 where model[pages].allSatisfy { $0 == .missing }:
                table.begin(pages)
                for page in pages { model[page] = .inFlight }
            case 1:
                table.install(pages)
                for page in pages { model[page] = .present }
            case 2:
                table.forget(pages)
                for page in pages { model[page] = .missing }
            default:
                table.forgetPresent(pages)
                for page in pages where model[page] == .present { model[page] = .missing }
            }
            let page = random.below(pageCount)
            let admission: FaultTable.Admission =
                switch model[page] {
                case .missing: .begin
                case .inFlight: .join
                case .present: .wake
                }
            try #require(table.admit(page) == admission, "step \(step), \(seed)")
            try #require(table.isMissing(page) == (model[page] == .missing), "step \(step), \(seed)")
            try #require(table.isInFlight(page) == (model[page] == .inFlight), "step \(step), \(seed)")
            try #require(table.isPresent(page) == (model[page] == .present), "step \(step), \(seed)")
            try #require(table.presentCount == model.count { $0 == .present }, "step \(step), \(seed)")
            try #require(table.inFlightCount == model.count { $0 == .inFlight }, "step \(step), \(seed)")
            try #require(
                table.hasInFlight(pages) == model[pages].contains(.inFlight), "step \(step), \(seed)")
            let start = model[page...].firstIndex { $0 != .present }
            let run = start.map { $0..<(model[$0...].firstIndex(of: .present) ?? pageCount) }
            try #require(table.nextAbsentRun(from: page) == run, "step \(step), \(seed)")
        }
    }

    @Test func `SuspectPages believes the first late message and not the second`() throws {
        var random = TestRandom(seed)
        var suspects = SuspectPages()
        var model: Set<UInt> = []
        for step in 0..<4000 {
            let address = UInt(random.below(1000) * SystemPage.size)
            let isNew = model.insert(address).inserted
            if !isNew { model.remove(address) }
            let isLate = suspects.insert(address)
            try #require(isLate == isNew, "step \(step), \(seed)")
        }
    }

    @Test func `SuspectPages stays bounded, and supplies anew when it cannot know`() {
        var suspects = SuspectPages()
        var distrusted = 0
        for number in 0..<10_000 where !suspects.insert(UInt(number)) { distrusted += 1 }
        #expect(distrusted >= 9, "each time that it is full it forgets, and says so")
        #expect(distrusted < 100)
        let answers = [suspects.insert(1 << 40), suspects.insert(1 << 40)]
        #expect(answers == [true, false])
    }
}
