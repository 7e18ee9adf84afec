import Testing
import Userfault

@testable import FaultlineBench

@Suite(.timeLimit(.minutes(5))) struct DirtyTests {
    private static let available = (try? Userfaultfd.probe().availableFeatures) ?? []
    private static let variants = DirtyScenario().variants.filter {
        available.isSuperset(of: $0.features) && ($0.features.isEmpty || UserfaultAccess.probe().isOpen)
    }

    private func run(_ variant: any DirtyVariant) async throws -> [DirtyRun.Extent: DirtyRun.Times] {
        let source = try Contents(pages: 130, seed: 5)
        return try await DirtyRun(source: source, seed: 5, placement: try Placement(.none), round: 1)
            .measure(variant)
    }

    @Test(arguments: variants.indices) func everyVariantFindsExactlyWhatWasWritten(index: Int) async throws {
        let variant = DirtyTests.variants[index]
        let times = try await run(variant)
        #expect(Set(times.keys) == Set(DirtyRun.Extent.allCases))
        #expect(times.values.allSatisfy { $0.write > 0 })
        #expect(times.values.allSatisfy { ($0.collect == nil) == (variant.name == "none") })
    }

    @Test(arguments: [Forgetful.Fault.misses, .repeats])
    func whoIsWrongAboutAPageIsFoundOut(fault: Forgetful.Fault) async {
        await #expect(throws: RunError.self) { try await run(Forgetful(fault: fault)) }
    }

    @Test func theFirstDifferenceOfSets() {
        var (left, right) = (DirtySet(pages: 200), DirtySet(pages: 200))
        #expect(left.firstDifference(from: right) == nil)
        left.insert(199)
        right.insert(130)
        #expect(left.firstDifference(from: right) == 130)
    }
}

/// Says each time that all pages were written, or all but one.
struct Forgetful: DirtyVariant {
    enum Fault { case misses, repeats }

    var fault: Fault
    var name: String { "forgetful" }
    var features: Features { [] }

    func start(_ work: DirtyWork) async throws -> any RunningDirty {
        Running(
            memory: try await CDirtyVariant(name: "none", style: .none).start(work), fault: fault,
            pages: work.source.pageCount)
    }

    private struct Running: RunningDirty {
        var memory: any RunningDirty
        var fault: Fault
        var pages: Int
        var base: UInt { memory.base }

        func collect() async throws -> DirtySet? {
            var set = DirtySet(pages: pages)
            for page in 0..<pages where !(fault == .misses && page == 77) { set.insert(page) }
            return set
        }

        func stop() async throws -> Counters { try await memory.stop() }
    }
}
