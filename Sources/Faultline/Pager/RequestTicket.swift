import EventReactor
import Userfault

/// A request whose answer is awaited: from a task, or after a pause.
///
/// `@unchecked Sendable`: it travels with the request, but what can change is touched on the loop's thread only.
final class RequestTicket: @unchecked Sendable {
    let link: PagerLink
    let region: RegionState
    let pages: Range<Int>
    let cause: FaultCause
    /// How often the handler has failed on these pages.
    let failures: Int
    /// Parts that were supplied early.
    var supplied: [Range<Int>] = []
    /// Whose task has it.
    var runner: HandlerRunner?
    /// What it waits for otherwise.
    var timer: TimerID?
    /// Where it stands in the pager's list; nil when it is over: answers that come now are ignored.
    var position: Int?

    init(link: PagerLink, region: RegionState, pages: Range<Int>, cause: FaultCause, failures: Int) {
        self.link = link
        self.region = region
        self.pages = pages
        self.cause = cause
        self.failures = failures
    }

    /// What the handler is given.
    var request: FaultRequest {
        FaultRequest(
            range: region.range(of: pages), region: region.home, pageSize: region.pageSize,
            attempt: failures, baseOffset: region.homeOffset, firstPage: region.firstPage,
            cause: cause, pool: region.pool, ticket: self)
    }
}

/// Why a request was made.
struct FaultCause: Sendable {
    var kind: Fault.Kind
    var isWrite: Bool
    var threadID: UInt32?
    /// The pages that threads were seen waiting for; the others of the request are filled ahead of them.
    var demand: Range<Int>
    /// The prefetch that the request is a part of, by its number; 0 for none.
    var prefetch = 0
}

/// The tickets that are open, in no order.
struct TicketList {
    private(set) var tickets: [RequestTicket] = []

    mutating func add(_ ticket: RequestTicket) {
        ticket.position = tickets.count
        tickets.append(ticket)
    }

    /// False when the ticket was over before.
    mutating func remove(_ ticket: RequestTicket) -> Bool {
        guard let position = ticket.position else { return false }
        ticket.position = nil
        let last = tickets.removeLast()
        if last !== ticket {
            tickets[position] = last
            last.position = position
        }
        return true
    }
}
