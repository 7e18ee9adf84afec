// What a fault costs in instructions, for a simulated processor that counts them: `make instructions`.

import EventReactor
import Faultline
import FaultlineTestKit
import Userfault

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Serves `pages` made-up faults, `together` in each turn of the loop, by a handler of a style.
struct Course {
    enum Style: String, CaseIterable { case sync, async, suspend }

    var style: Style
    var pages: Int
    var together: Int

    init(_ arguments: [String]) throws {
        guard arguments.count == 4, let style = Style(rawValue: arguments[1]),
            let pages = Int(arguments[2]), let together = Int(arguments[3]), together > 0, pages > 0
        else {
            throw Failure("Usage: instructions sync|async|suspend PAGES FAULTS-IN-A-TURN")
        }
        (self.style, self.pages, self.together) = (style, pages, together)
    }

    func makeHandler(_ source: PageSource, _ reactor: Reactor) -> any FaultHandler {
        switch style {
        case .sync: MemoryHandler(source)
        case .async: AsyncHandler(source: source)
        case .suspend: SuspendingHandler(source: source, reactor: reactor)
        }
    }

    func run() throws {
        let reactor = try Reactor.hosted()
        let kernel = try MadeUpFaults()
        let byteCount = pages * SystemPage.size
        let source = try PageSource(byteCount: byteCount) { (_: inout OutputRawSpan) in }
        let handler = makeHandler(source, reactor)
        let setUp = Lock<Result<(Pager, Region), any Error>?>(nil)
        Task {
            do {
                let pager = try await Pager(on: reactor, kernel: kernel, access: nil, configuration: .init())
                let region = try await pager.map(byteCount: byteCount, handler: handler)
                setUp.withLock { $0 = .success((pager, region)) }
            } catch {
                setUp.withLock { $0 = .failure(error) }
            }
        }
        while setUp.withLock({ $0 == nil }) { try reactor.turn(waiting: .milliseconds(1)) }
        guard let (pager, region) = try setUp.withLock({ try $0?.get() }) else { return }
        var random = TestRandom(TestSeed())
        let addresses = (0..<pages).map { region.range.start + UInt($0 * SystemPage.size) }
            .shuffled(using: &random)
        var served = 0
        while served < pages {
            let end = min(served + together, pages)
            kernel.fault(at: addresses[served..<end])
            try reactor.turn(waiting: .zero)
            served = end
        }
        let present = Lock<Int?>(nil)
        Task {
            let count = await pager.statistics.presentPages
            present.withLock { $0 = count }
        }
        while present.withLock({ $0 == nil }) { try reactor.turn(waiting: .milliseconds(1)) }
        guard present.withLock({ $0 }) == pages else { throw Failure("pages are missing") }
    }
}

@main
enum Instructions {
    static func main() throws { try Course(CommandLine.arguments).run() }
}
