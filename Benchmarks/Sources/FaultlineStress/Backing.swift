import Faultline
import Userfault

/// What the memory is made of.
enum Backing: String, CaseIterable, Sendable {
    /// Private anonymous pages, copied to.
    case anonymous
    /// Shared memory, filled through a second mapping.
    case shared
    /// Private pages of 2 MiB, copied to.
    case huge
    /// Shared memory of 2 MiB pages, filled through a second mapping.
    case hugeShared = "huge-shared"

    var isHuge: Bool { self == .huge || self == .hugeShared }
    var isShared: Bool { self == .shared || self == .hugeShared }
    var pageSize: Int { isHuge ? 2 << 20 : SystemPage.size }

    /// Where pages come by a second mapping, they are there before they are mapped: that must be told from missing.
    var modes: RegistrationModes {
        isShared ? [.missing, .minor, .writeProtect] : [.missing, .writeProtect]
    }

    private var memoryKind: MemoryKind {
        switch self {
        case .anonymous: .privateAnonymous
        case .shared: .sharedMemory
        case .huge, .hugeShared: .hugePages
        }
    }

    /// Why the kernel cannot serve it, or nil.
    func refusal(by features: Features) -> String? {
        features.allows(modes, on: memoryKind)
            ? nil : "this kernel cannot register \(rawValue) memory for \(modes)"
    }
}
