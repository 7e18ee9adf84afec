import Glibc
import Testing
import Userfault

@testable import FaultlineBench

@Suite(.timeLimit(.minutes(5))) struct PagingTests {
    private static let variants = PagingScenario().variants.filter { variant in
        guard !variant.features.isEmpty else { return true }
        return (try? Userfaultfd.probe().availableFeatures.isSuperset(of: variant.features)) ?? false
    }

    private func run(
        _ variant: any PagingVariant, _ pattern: PagingRun.Pattern, threads: Int = 1
    ) async throws -> PagingRun.Result {
        try await PagingRun(
            pages: 300, threads: threads, pattern: pattern, seed: 5, placement: try Placement(.none)
        ).measure(variant)
    }

    @Test(arguments: variants.indices, PagingRun.Pattern.allCases)
    func everyAccessIsRightAndEverythingInTheFile(index: Int, pattern: PagingRun.Pattern) async throws {
        let variant = PagingTests.variants[index]
        for threads in [1, 3] {
            let result = try await run(variant, pattern, threads: threads)
            #expect(result.accesses.elapsed > 0)
            guard variant.name == "faultline" else { continue }
            #expect(result.counters.evictions >= 300 - 2 * 75)
            #expect(result.counters.faults > 0)
            #expect((result.counters.writes > 0) == (pattern.access != .read))
        }
    }

    @Test(arguments: [Careless.Fault.wrongPage, .lostWrite])
    func whoIsWrongIsFoundOut(fault: Careless.Fault) async {
        await #expect(throws: RunError.self) { try await run(Careless(fault: fault), .shuffledChanges) }
    }
}

/// Maps the file in a way that shows one page at the wrong place, or brings nothing back to it.
struct Careless: PagingVariant {
    enum Fault { case wrongPage, lostWrite }

    var fault: Fault
    var name: String { "careless" }
    var features: Features { [] }

    func start(_ work: PagingWork) async throws -> any RunningPaging {
        let descriptor = unsafe open(work.file.path, O_RDWR)
        defer { close(descriptor) }
        let byteCount = work.file.byteCount
        let flags = fault == .lostWrite ? MAP_PRIVATE : MAP_SHARED
        let memory = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, descriptor, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
            throw RunError.failed("no memory")
        }
        if fault == .wrongPage {
            let page = System.pageSize
            unsafe mmap(
                memory + 77 * page, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor,
                78 * page)
        }
        return Running(base: UInt(bitPattern: memory), byteCount: byteCount)
    }

    private struct Running: RunningPaging {
        var base: UInt
        var byteCount: Int
        var evicts: Bool { false }

        func counters() async -> PagingCounters { PagingCounters() }
        func flush() async throws {}
        func stop() async throws {
            unsafe munmap(UnsafeMutableRawPointer(bitPattern: base), byteCount)
        }
    }
}
