import EventReactor
import Faultline
import FaultlineTestKit
import Userfault

/// Reactors with a group of pagers, shut down at the end.
func withGroup<T>(
    reactors count: Int = 3, pagersPerReactor: Int = 1,
    _ configuration: Pager.Configuration = Pager.Configuration(),
    _ body: (PagerGroup) async throws -> T
) async throws -> T {
    let reactors = try ReactorGroup.start(.init(count: count))
    do {
        let group = try await PagerGroup(
            on: reactors, pagersPerReactor: pagersPerReactor, configuration: configuration)
        let result = try await body(group)
        await group.shutdown()
        await reactors.shutdown()
        return result
    } catch {
        await reactors.shutdown()
        throw error
    }
}

extension StripedRegion {
    /// The first word of a page.
    func word(_ page: Int) -> UInt64 { load(fromByteOffset: page * pageSize, as: UInt64.self) }

    /// Whether a page is there or comes when it is touched; false when it raises SIGBUS.
    func canBeRead(_ page: Int) -> Bool {
        MemoryProbe.readThroughKernel(range.start + UInt(page * pageSize), count: 1) != nil
    }
}
