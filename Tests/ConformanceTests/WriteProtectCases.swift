import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite("Write-protection", .timeLimit(.minutes(5)))
struct WriteProtectCases {
    @Test("14. wp-unpopulated", .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]))
    func unpopulated() throws {
        let area = try Area(pages: 1)
        let served = try Served(area, .writeProtect, features: .writeProtectUnpopulated)
        func protect(_ options: WriteProtectOptions) {
            #expect(served.uffd.writeProtect(area.whole, options: options) == .whole)
        }
        protect(.protect)
        #expect(try isProtected(area.start))
        protect([])
        #expect(try !isProtected(area.start))
        protect(.protect)
        #expect(area.advise(area.whole, Advice.dontNeed) == 0)
        #expect(try !isProtected(area.start))
        area.store(0, 1)
        #expect(try !isProtected(area.start))
        #expect(area.advise(area.whole, Advice.dontNeed) == 0)
        protect(.protect)
        #expect(area.page(0, is: 0))
        #expect(try isProtected(area.start))
        #expect(try served.pending == 0)
    }

    @Test(
        "50. wp-async get-and-reset", .requiresUserfaultfd(.asynchronousWriteProtect), arguments: Backing.all)
    func asynchronous(backing: Backing) throws {
        let area = try Area(backing, pages: 6)
        let served = try Served(area, .writeProtect, features: .asynchronousWriteProtect)
        #expect(served.uffd.writeProtect(area.whole, options: .protect) == .whole)
        let scanner = try PagemapScanner()
        var runs = PageRuns(capacity: 8)
        func written(_ options: PageScanOptions, _ runs: inout PageRuns) throws -> [AddressRange] {
            let scan = try scanner.scan(area.whole, requiring: .written, options: options, into: &runs)
            #expect(scan.walkEnd == area.whole.end)
            return (0..<scan.runCount).map { runs[$0].range }
        }
        let getAndReset: PageScanOptions = [.writeProtectMatching, .requireAsynchronousWriteProtect]
        #expect(try written([], &runs) == [])
        area.store(1, 1)
        area.store(3, 1)
        area.store(4, 1)
        #expect(try written([], &runs) == [area.pages(1), area.pages(3, 2)])
        #expect(try written(getAndReset, &runs) == [area.pages(1), area.pages(3, 2)])
        #expect(try written(getAndReset, &runs) == [])
        area.store(3, 2)
        #expect(try written(getAndReset, &runs) == [area.pages(3)])
        #expect(area.word(4) == 1)
        #expect(try served.pending == 0)

        // What is not registered so is refused, or left out.
        let other = try Area(backing, pages: 1)
        other.store(0, 1)
        for options in [getAndReset, .requireAsynchronousWriteProtect] {
            let error = #expect(throws: UserfaultfdError.self) {
                try scanner.scan(other.whole, requiring: .written, options: options, into: &runs)
            }
            #expect(error?.errno == .notPermitted)
            #expect(error?.operation == .scan)
        }
    }

    @Test("50. wp-async, dropped pages count as written", .requiresUserfaultfd(.asynchronousWriteProtect))
    func asynchronousDrop() throws {
        let area = try Area(pages: 4)
        area.fill()
        let served = try Served(area, .writeProtect, features: .asynchronousWriteProtect)
        #expect(served.uffd.writeProtect(area.whole, options: .protect) == .whole)
        #expect(area.advise(area.pages(2), Advice.dontNeed) == 0)
        var runs = PageRuns(capacity: 1)
        let scanner = try PagemapScanner()
        let scan = try scanner.scan(area.whole, requiring: .written, into: &runs)
        #expect(scan.runCount == 1)
        #expect(runs[0].range == area.pages(2))
        #expect(try served.pending == 0)
    }
}
