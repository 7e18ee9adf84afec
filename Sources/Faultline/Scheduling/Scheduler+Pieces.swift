package import Userfault

// What goes into a scheduler, and what comes out.
extension Scheduler {
    package enum Action: Hashable, Sendable {
        case copy(source: UInt)
        /// A copy that is write-protected as it is installed.
        case copyProtected(source: UInt)
        case move(source: UInt)
        case mapExisting(isProtected: Bool)
        case unprotect
        case zero
        case poison

        /// The same action for what lies `bytes` further on.
        package func advanced(by bytes: UInt) -> Action {
            switch self {
            case .copy(let source): .copy(source: source + bytes)
            case .copyProtected(let source): .copyProtected(source: source + bytes)
            case .move(let source): .move(source: source + bytes)
            default: self
            }
        }
    }

    package struct Piece {
        package var range: AddressRange
        package var action: Action
        package var pageSize: Int
        /// Nobody was seen waiting for it.
        package var isAhead: Bool
        /// Its place among those; given when it is added for the first time.
        var place = 0
        package var tag: Tag

        package init(range: AddressRange, action: Action, pageSize: Int, isAhead: Bool = false, tag: Tag) {
            self.range = range
            self.action = action
            self.pageSize = pageSize
            self.isAhead = isAhead
            self.tag = tag
        }
    }

    package struct Operation: Hashable, Sendable {
        package var range: AddressRange
        package var action: Action
    }

    package enum Disposition: Hashable, Sendable {
        /// Installed by this operation.
        case done
        /// Something was there already. Whoever installed it may not have woken the page's threads.
        case exists
        /// The address space is changing; try again later.
        case again
        /// The range, or the process, is gone.
        case gone(Outcome.Gone)
        /// The kernel refuses.
        case failed(UserfaultfdError)
    }

    package struct Settlement: Hashable, Sendable {
        package var range: AddressRange
        package var disposition: Disposition
    }
}
