internal import Userfault

/// One of the ioctls that change pages.
enum PageOperation: String, CaseIterable {
    case copy, zero, move
    case mapExisting = "continue"
    case protect, unprotect, poison, wake

    /// What the kernel must have for it.
    var features: Features {
        switch self {
        case .copy, .zero, .wake: []
        case .move: .move
        case .mapExisting: .minorSharedMemory
        case .protect, .unprotect: .writeProtectFaults
        case .poison: .poison
        }
    }
}
