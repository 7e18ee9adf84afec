import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// What changes of the address space do to the tables, against models that go address by address.
@Suite(.timeLimit(.minutes(5)))
struct EventTableTests {
    let seed = TestSeed()

    private func addresses(_ range: AddressRange) -> Range<UInt> { range.start..<range.end }

    @Test func `carving takes a range out of RangeIndex, and leaves what sticks out`() throws {
        var random = TestRandom(seed)
        var index = RangeIndex<Int>()
        var model: [UInt: Int] = [:]
        for step in 0..<3000 {
            let start = UInt(1000 + random.below(300))
            let range = AddressRange(start: start, byteCount: random.below(random.chance(80) ? 12 : 120))
            let there = addresses(range).filter { model[$0] != nil }
            if random.chance(60) {
                if !range.isEmpty, index.insert(step, for: range) {
                    try #require(there.isEmpty, "step \(step), \(seed)")
                    for address in addresses(range) { model[address] = step }
                } else {
                    try #require(range.isEmpty || !there.isEmpty, "step \(step), \(seed)")
                }
            } else {
                let expected = index.parts(in: range)
                let taken = index.carve(range)
                try #require(taken.map(\.range) == expected.map(\.range), "step \(step), \(seed)")
                try #require(taken.flatMap { addresses($0.range) } == there, "step \(step), \(seed)")
                for (part, value) in taken {
                    for address in addresses(part) {
                        let former = model.removeValue(forKey: address)
                        try #require(former == value, "step \(step), \(seed)")
                    }
                }
            }
            if random.chance(2) {
                let doomed = random.below(3)
                index.removeAll { $0 % 3 == doomed }
                model = model.filter { $0.value % 3 != doomed }
            }
            let address = UInt(990 + random.below(330))
            let entry = index.entry(at: address)
            try #require(entry?.value == model[address], "step \(step), \(seed)")
            try #require(entry.map { $0.range.contains(address) } ?? true, "step \(step), \(seed)")
            let before = index.entry(before: address)
            let lastBefore = model.keys.filter { $0 < address && model[$0] != model[address] }.max()
            if model[address] == nil {
                try #require(before?.value == lastBefore.flatMap { model[$0] }, "step \(step), \(seed)")
                try #require(before.map { $0.range.end <= address } ?? true, "step \(step), \(seed)")
            }
            let next = index.start(after: address)
            try #require(next.map { $0 > address && model[$0] != nil } ?? true, "step \(step), \(seed)")
        }
    }

    @Test func `a message pays the oldest debt of each address, once`() throws {
        var random = TestRandom(seed)
        var debts = RangeDebts<Int>()
        // Oldest first.
        var model: [UInt: [Int]] = [:]
        for step in 0..<3000 {
            let start = UInt(1000 + random.below(100))
            let range = AddressRange(start: start, byteCount: 1 + random.below(40))
            switch random.below(4) {
            case 0:
                debts.add(range, step)
                for address in addresses(range) { model[address, default: []].append(step) }
            case 1:
                let isChosen = { (value: Int) in value % 2 == 0 }
                debts.replace(range) { isChosen($0) ? $0 + 100_001 : nil }
                for address in addresses(range) {
                    guard let place = model[address]?.firstIndex(where: isChosen) else { continue }
                    model[address]?[place] += 100_001
                }
            default:
                var paid: [UInt: Int] = [:]
                let rest = debts.pay(range) { part, value in
                    for address in addresses(part) where paid.updateValue(value, forKey: address) != nil {
                        Issue.record("paid twice at step \(step), \(seed)")
                    }
                }
                for address in addresses(range) {
                    let owed = model[address]?.isEmpty ?? true ? nil : model[address]?.removeFirst()
                    try #require(paid[address] == owed, "step \(step), \(seed)")
                    let isRest = rest.contains { $0.contains(address) }
                    try #require(isRest == (owed == nil), "step \(step), \(seed)")
                }
                try #require(rest.allSatisfy(range.contains), "step \(step), \(seed)")
            }
            for address in addresses(range) {
                try #require(
                    debts.entry(at: address)?.value == model[address]?.first, "step \(step), \(seed)")
            }
            let odd = debts.parts(in: range) { $0 % 2 == 1 }
            for address in addresses(range) {
                let found = odd.filter { $0.range.contains(address) }.map(\.value)
                let expected = model[address]?.first { $0 % 2 == 1 }.map { [$0] } ?? []
                try #require(found == expected, "step \(step), \(seed)")
            }
            try #require(debts.isEmpty == model.values.allSatisfy(\.isEmpty), "step \(step), \(seed)")
        }
    }

    private enum PageState { case missing, inFlight, present }

    @Test func `removed pages are zero and lost ones gone, whatever becomes of them`() throws {
        var random = TestRandom(seed)
        let pageCount = 150
        var table = FaultTable(pageCount: pageCount)
        var states = [PageState](repeating: .missing, count: pageCount)
        var fates = [FaultTable.Fate](repeating: .asAnswered, count: pageCount)
        for step in 0..<4000 {
            // A table in which everything is gone is no test any more.
            if step % 300 == 299 {
                table = FaultTable(pageCount: pageCount)
                states = Array(repeating: .missing, count: pageCount)
                fates = Array(repeating: .asAnswered, count: pageCount)
            }
            let pages = random.range(within: pageCount)
            switch random.below(20) {
            case 0..<6 where pages.allSatisfy({ states[$0] == .missing && fates[$0] != .gone }):
                table.begin(pages)
                for page in pages { states[page] = .inFlight }
            case 6..<12 where pages.allSatisfy({ fates[$0] != .gone }):
                table.install(pages)
                for page in pages { states[page] = .present }
            case 12..<18:
                table.remove(pages)
                for page in pages {
                    if fates[page] != .gone { fates[page] = .zero }
                    if states[page] == .present { states[page] = .missing }
                }
            case 18 where random.chance(30):
                let inFlight = pages.count { states[$0] == .inFlight }
                let lost = table.lose(pages)
                try #require(lost == inFlight, "step \(step), \(seed)")
                for page in pages { (states[page], fates[page]) = (.missing, .gone) }
            default: break
            }
            try #require(table.inFlightCount == states.count { $0 == .inFlight }, "step \(step), \(seed)")
            try #require(table.presentCount == states.count { $0 == .present }, "step \(step), \(seed)")
            try #require(table.goneCount == fates.count { $0 == .gone }, "step \(step), \(seed)")
            let altered = pages.contains { fates[$0] != .asAnswered }
            try #require(table.hasAltered(pages) == altered, "step \(step), \(seed)")
            let runs = table.fates(of: pages)
            try #require(runs.flatMap(\.pages) == Array(pages), "step \(step), \(seed)")
            for (run, fate) in runs {
                try #require(run.allSatisfy { fates[$0] == fate }, "step \(step), \(seed)")
            }
            for page in pages {
                let mayBeAsked = states[page] == .missing && fates[page] == .asAnswered
                try #require(table.mayBeAsked(page) == mayBeAsked, "step \(step), \(seed)")
            }
            var unsupplied: [Int] = []
            var page = pages.lowerBound
            while let run = table.nextUnsuppliedRun(from: page, below: pages.upperBound) {
                unsupplied += run
                page = run.upperBound
            }
            let expected = pages.filter { states[$0] != .present && fates[$0] == .asAnswered }
            try #require(unsupplied == expected, "step \(step), \(seed)")
            let copy = table.copied(pages)
            for (number, page) in pages.enumerated() {
                try #require(copy.isPresent(number) == (states[page] == .present), "step \(step), \(seed)")
                if fates[page] != .gone {
                    try #require(copy.fate(number) == fates[page], "step \(step), \(seed)")
                }
            }
        }
    }
}
