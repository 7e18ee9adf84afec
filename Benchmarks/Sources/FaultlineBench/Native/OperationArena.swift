import CBaseline
import Userfault

/// Pages that one operation is to change, by a loop in plain C or by calls of `Userfault`, over and over.
///
/// `@unchecked Sendable`: one thread at a time uses it, that of the worker that measures.
@safe final class OperationArena: @unchecked Sendable {
    let operation: PageOperation
    let userfaultfd: Userfaultfd
    let pages: Int
    private let handle: OpaquePointer

    init(_ operation: PageOperation, pages: Int) throws {
        self.operation = operation
        self.pages = pages
        userfaultfd = try Userfaultfd(requiring: operation.features)
        var error: CInt = 0
        let made = unsafe bench_arena_make(userfaultfd.fileDescriptor, operation.number, pages, &error)
        guard let made = unsafe made else {
            throw RunError.failed(
                "Memory for \(operation.rawValue) could not be registered: \(System.describe(error)).")
        }
        unsafe handle = unsafe made
    }

    deinit { unsafe bench_arena_destroy(handle) }

    /// The pages to change.
    var destination: AddressRange {
        AddressRange(start: unsafe bench_arena_destination(handle), byteCount: pages * System.pageSize)
    }
    /// Where pages are copied or moved from.
    var source: UInt { unsafe bench_arena_source(handle) }

    /// Puts the pages back into the state before the operation.
    func prepare() throws(RunError) {
        let error = unsafe bench_arena_prepare(handle)
        guard error == 0 else {
            throw .failed("\(operation.rawValue) could not be prepared: \(System.describe(error)).")
        }
    }

    /// The operation on all pages, in plain C.
    func runInC(pagesPerCall: Int) throws(RunError) {
        let error = unsafe bench_arena_run(handle, pagesPerCall)
        guard error == 0 else {
            throw .failed("\(operation.rawValue) in C failed: \(System.describe(error)).")
        }
    }

    /// Checks that the operation was done on every page, and compares the bytes where there are any.
    func verify(variant: String) throws(RunError) {
        let page = unsafe bench_arena_verify(handle)
        guard page < pages else { return }
        throw .mismatch("Wrong result of \(operation.rawValue) by \(variant): page \(page).")
    }
}

extension PageOperation {
    fileprivate var number: UInt32 {
        let number =
            switch self {
            case .copy: BENCH_OPERATION_COPY
            case .zero: BENCH_OPERATION_ZERO
            case .move: BENCH_OPERATION_MOVE
            case .mapExisting: BENCH_OPERATION_CONTINUE
            case .protect: BENCH_OPERATION_PROTECT
            case .unprotect: BENCH_OPERATION_UNPROTECT
            case .poison: BENCH_OPERATION_POISON
            case .wake: BENCH_OPERATION_WAKE
            }
        return UInt32(number)
    }
}
