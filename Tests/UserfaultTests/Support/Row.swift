import Testing
import Userfault

/// One way to provoke one answer of the kernel.
struct Row: Sendable, CustomTestStringConvertible {
    /// An ``Outcome`` with pages in place of bytes and errors reduced to their errno.
    enum Answer: Equatable {
        case whole
        case partial(pages: Int)
        case exists
        case again
        case gone(Outcome.Gone)
        case failed(Errno)
    }

    let name: String
    let kind: Memory.Kind
    let modes: RegistrationModes
    let expected: Answer
    let run: @Sendable (Trapped) throws -> Outcome

    init(
        _ name: String, on kind: Memory.Kind = .anonymous, modes: RegistrationModes = .missing,
        _ expected: Answer, _ run: @escaping @Sendable (Trapped) throws -> Outcome
    ) {
        self.name = name
        self.kind = kind
        self.modes = modes
        self.expected = expected
        self.run = run
    }

    var testDescription: String { name }

    func check(operation: UserfaultfdError.Operation) throws {
        let trapped = try Trapped(kind, modes: modes)
        let outcome = try run(trapped)
        #expect(outcome.answer == expected, "\(outcome)")
        if case .failed(let error) = outcome {
            #expect(error.operation == operation)
            #expect(error.range != nil)
            #expect(error.bytesDone == 0)
            #expect(error.description.contains("0x"))
        }
    }
}

extension Outcome {
    var answer: Row.Answer {
        switch self {
        case .whole: .whole
        case .partial(let bytesDone): .partial(pages: bytesDone / SystemPage.size)
        case .exists: .exists
        case .again: .again
        case .gone(let what): .gone(what)
        case .failed(let error): .failed(error.errno)
        }
    }
}

extension AddressRange {
    /// Not aligned at its start.
    var shifted: AddressRange { AddressRange(start: start + 1, byteCount: byteCount) }
    /// Not aligned at its end.
    var ragged: AddressRange { AddressRange(start: start, byteCount: byteCount + 1) }
    var emptied: AddressRange { AddressRange(start: start, byteCount: 0) }
    /// Reaches over the end of the address space.
    var wrapping: AddressRange {
        AddressRange(start: start, byteCount: Int.max & ~(SystemPage.size - 1))
    }
}

/// The start of the kernel's half of the addresses.
let kernelRange = AddressRange(start: UInt(1) << 63, byteCount: SystemPage.size)
