import Testing
import Userfault

@testable import FaultlineBench

@Suite(.enabled(if: UserfaultAccess.probe().isOpen), .timeLimit(.minutes(5)))
struct OperationsTests {
    /// What this kernel has.
    static let operations = PageOperation.allCases.filter { operation in
        (try? Userfaultfd.probe().availableFeatures.isSuperset(of: operation.features)) ?? false
    }

    @Test(arguments: OperationVariant.allCases, OperationsTests.operations)
    func everyOperationIsDoneOnEveryPage(variant: OperationVariant, operation: PageOperation) throws {
        let arena = try OperationArena(operation, pages: 64)
        for size in [1, 16, 64] {
            #expect(try variant.measure(arena, pagesPerCall: size) > 0)
        }
    }

    @Test(arguments: OperationsTests.operations.filter { $0 != .wake })
    func whatWasNotDoneIsFound(operation: PageOperation) throws {
        let arena = try OperationArena(operation, pages: 8)
        try arena.prepare()
        #expect(throws: RunError.self) { try arena.verify(variant: "none") }
        try arena.prepare()  // what tries to poison pages has poisoned one
        try arena.runInC(pagesPerCall: 8)
        try arena.verify(variant: "c")
    }

    @Test func aCallThatIsRefusedIsAFailure() throws {
        let arena = try OperationArena(.zero, pages: 8)
        try arena.prepare()
        try arena.runInC(pagesPerCall: 8)
        // The pages are there now.
        #expect(throws: RunError.self) { try arena.runInC(pagesPerCall: 8) }
    }
}
