/// Why the run ended badly.
enum Failure: Error, CustomStringConvertible {
    /// Memory does not hold what it should.
    case corrupt(String)
    /// A count of the pager's is not what it must be, or a call failed.
    case failed(String)

    var description: String {
        switch self {
        case .corrupt(let sentence), .failed(let sentence): sentence
        }
    }
}

/// Why a backing was not run.
struct Skipped: Error, CustomStringConvertible {
    var description: String
}
