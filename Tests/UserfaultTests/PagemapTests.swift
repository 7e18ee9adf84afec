import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite(.requiresUserfaultfd([.writeProtectFaults, .asynchronousWriteProtect]), .timeLimit(.minutes(5)))
struct PagemapTests {
    @Test func `an entry tells what is there`() throws {
        let scanner = try PagemapScanner()
        let (anonymous, shared) = (Memory(), Memory(.shared))
        #expect(try scanner.entry(at: anonymous.start).rawValue & 1 << 63 == 0)
        anonymous.poke(0, 1)
        shared.poke(0, 1)
        let entry = try scanner.entry(at: anonymous.start)
        #expect(entry.isPresent && entry.isExclusive && !entry.isFile && !entry.isSwapped)
        #expect(!entry.isWriteProtected)
        #expect(try scanner.entry(at: shared.start).isFile)
        let descriptor = try Userfaultfd()
        _ = try descriptor.register(anonymous.whole, modes: .writeProtect)
        #expect(descriptor.writeProtect(anonymous.pages(0), options: .protect) == .whole)
        #expect(try scanner.entry(at: anonymous.start).isWriteProtected)
    }

    @Test func `a scan goes on where the room was used up`() throws {
        let memory = Memory()
        for page in [0, 2, 4, 6, 7] { memory.poke(page, 1) }
        let scanner = try PagemapScanner()
        var runs = PageRuns(capacity: 2)
        var found: [AddressRange] = []
        var rest = memory.whole
        while !rest.isEmpty {
            let scan = try scanner.scan(rest, requiring: .present, returning: .present, into: &runs)
            #expect(scan.runCount == runs.count && scan.runCount <= runs.capacity)
            for index in 0..<scan.runCount {
                #expect(runs[index].categories == .present)
                found.append(runs[index].range)
            }
            rest = rest.droppingFirst(bytes: Int(scan.walkEnd - rest.start))
        }
        #expect(found == [memory.pages(0), memory.pages(2), memory.pages(4), memory.pages(6, 2)])
    }

    @Test func `what is looked for can be turned round, and limited`() throws {
        let memory = Memory(pages: 6)
        for page in [0, 1, 5] { memory.poke(page, 1) }
        let scanner = try PagemapScanner()
        var runs = PageRuns()
        let absent = try scanner.scan(
            memory.whole, requiring: .present, inverting: .present, returning: .present, into: &runs)
        #expect(absent == PageScan(runCount: 1, walkEnd: memory.whole.end))
        #expect(runs[0].range == memory.pages(2, 3))
        let some = try scanner.scan(memory.whole, anyOf: [.present, .swapped], pageLimit: 2, into: &runs)
        #expect(some.runCount == 1)
        #expect(some.walkEnd > memory.pages(1).start && some.walkEnd <= memory.pages(5).start)
        #expect(runs[0].range == memory.pages(0, 2))
    }

    @Test func `errors say what to do`() throws {
        let memory = Memory()
        memory.poke(0, 1)
        let scanner = try PagemapScanner()
        var runs = PageRuns()
        let refused = #expect(throws: UserfaultfdError.self) {
            try scanner.scan(
                memory.whole, requiring: .written, options: .requireAsynchronousWriteProtect, into: &runs)
        }
        #expect(refused?.errno == .notPermitted)
        #expect(refused?.range == memory.whole)
        #expect(refused?.description.contains("PAGEMAP_SCAN") == true)
        #expect(refused?.advice.isEmpty == false)
        let left = try scanner.scan(
            memory.whole, requiring: .written, options: .writeProtectMatching, into: &runs)
        #expect(left.runCount == 0)
        let unaligned = #expect(throws: UserfaultfdError.self) {
            let range = AddressRange(start: memory.start + 1, byteCount: memory.byteCount)
            _ = try scanner.scan(range, into: &runs)
        }
        #expect(unaligned?.errno == .invalidArgument)
        let unknown = #expect(throws: UserfaultfdError.self) {
            try scanner.scan(memory.whole, requiring: PageCategories(rawValue: 1 << 60), into: &runs)
        }
        #expect(unknown?.errno == .invalidArgument)
        #expect(unknown?.advice.isEmpty == false)
        let nobody = #expect(throws: UserfaultfdError.self) {
            _ = try PagemapScanner(ofProcess: .max).entry(at: 0)
        }
        #expect(nobody?.operation == .openPagemap)
        #expect(nobody?.errno == .noEntry)
        #expect(UserfaultfdError(operation: .scan, errno: .notATerminal).description.contains("Linux 6.7"))
    }

    @Test func `sets print their members`() {
        #expect(PageCategories([.written, .huge]).description == "[written, huge]")
        #expect(PageScanOptions.writeProtectMatching.description == "[writeProtectMatching]")
        let run = PageRun(range: AddressRange(start: 0x1000, byteCount: 0x1000), categories: .file)
        #expect(run.description == "0x1000..<0x2000 [file]")
    }
}
