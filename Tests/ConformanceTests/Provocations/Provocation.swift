import CTestSupport
import FaultlineTestKit
import Testing
import Userfault

/// One way to provoke one answer of the kernel: a row of the list.
///
/// The list is the rows of all the files beside this one. It has every errno and every success that the kernel's interface
/// was seen to give, so that whoever doubts one finds the line that provokes it.
struct Provocation: Sendable, CustomTestStringConvertible {
    /// An ``Outcome``, or what else a call or an access says, in a form that can be written down.
    enum Answer: Equatable, Sendable {
        case whole
        case partial(pages: Int)
        case exists
        case again
        case gone(Outcome.Gone)
        case failed(Errno)
        /// An access ended by a signal.
        case signal(CInt)
        /// What was read, or a set of poll's events.
        case value(Int)
    }

    /// Where a row can be run.
    enum Ground: Sendable {
        case here
        /// Forks, makes holes, or catches signals: in a process of its own.
        case alone
        /// On a thread without privileges.
        case nobody
        /// Needs privileges.
        case root
        /// Needs pages that are pinned.
        case pinned
        /// Is so since this kernel.
        case linux6_17
    }

    var call = Call.systemCall
    let how: String
    let expected: Answer
    let backing: Backing
    let modes: RegistrationModes
    let features: Features
    let ground: Ground
    /// Why the module cannot ask this. The kernel is asked directly then.
    let beyond: String?
    /// False for what is here besides the list.
    private(set) var isListed = true
    let run: @Sendable (Scene) throws -> Answer

    var testDescription: String { "\(call.rawValue): \(how)" }

    /// A call that fills or changes pages.
    static func fill(
        _ how: String, _ expected: Answer, on backing: Backing = .anonymous,
        modes: RegistrationModes = .missing, features: Features = [], in ground: Ground = .here,
        _ run: @escaping @Sendable (Scene) throws -> Outcome
    ) -> Provocation {
        Provocation(
            how: how, expected: expected, backing: backing, modes: modes, features: features,
            ground: ground, beyond: nil
        ) { try $0.checked(run($0)) }
    }

    /// A call that succeeds or throws. The memory is not registered before.
    static func call(
        _ how: String, _ expected: Answer, on backing: Backing = .anonymous, modes: RegistrationModes = [],
        features: Features = [], in ground: Ground = .here, _ run: @escaping @Sendable (Scene) throws -> Void
    ) -> Provocation {
        Provocation(
            how: how, expected: expected, backing: backing, modes: modes, features: features,
            ground: ground, beyond: nil
        ) {
            try run($0)
            return .whole
        }
    }

    /// Anything else that can be seen.
    static func seen(
        _ how: String, _ expected: Answer, on backing: Backing = .anonymous,
        modes: RegistrationModes = .missing, features: Features = [], in ground: Ground = .here,
        _ run: @escaping @Sendable (Scene) throws -> Answer
    ) -> Provocation {
        Provocation(
            how: how, expected: expected, backing: backing, modes: modes, features: features,
            ground: ground, beyond: nil, run: run)
    }

    /// What the module makes impossible, and why; asked of the kernel itself.
    static func beyond(
        _ how: String, _ expected: Answer, because reason: String, modes: RegistrationModes = .missing,
        features: Features = [], in ground: Ground = .here,
        _ run: @escaping @Sendable (Scene) throws -> Answer
    ) -> Provocation {
        Provocation(
            how: how, expected: expected, backing: .anonymous, modes: modes, features: features,
            ground: ground, beyond: reason, run: run)
    }

    /// The same, besides the list.
    var besides: Provocation {
        var row = self
        row.isListed = false
        return row
    }

    /// Provokes the answer and compares it.
    func check() throws {
        try judge(attempt(scene()))
    }

    func scene() throws -> Scene {
        try Scene(backing, pages: backing.isHuge ? 4 : 8, alias: true, modes: modes, features: features)
    }

    /// Any thread.
    func attempt(_ scene: Scene) -> Result<Answer, any Error> {
        Result { try run(scene) }
    }

    func judge(_ result: Result<Answer, any Error>) throws {
        switch result {
        case .success(let answer):
            #expect(answer == expected, "\(answer)")
        case .failure(let error as UserfaultfdError):
            #expect(.failed(error.errno) == expected, "\(error)")
            #expect(error.operation == call.operation)
            #expect(!error.advice.isEmpty)
        case .failure(let error):
            throw error
        }
    }
}

extension Scene {
    /// An outcome as an answer, and its error looked at.
    fileprivate func checked(_ outcome: Outcome) -> Provocation.Answer {
        if case .failed(let error) = outcome {
            #expect(error.range != nil)
            #expect(error.bytesDone == 0)
            #expect(error.description.contains("0x"))
        }
        return outcome.answer(pageSize: area.pageSize)
    }
}

extension Outcome {
    func answer(pageSize: Int = SystemPage.size) -> Provocation.Answer {
        switch self {
        case .whole: .whole
        case .partial(let bytesDone): .partial(pages: bytesDone / pageSize)
        case .exists: .exists
        case .again: .again
        case .gone(let what): .gone(what)
        case .failed(let error): .failed(error.errno)
        }
    }
}
