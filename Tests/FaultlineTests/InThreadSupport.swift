import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Bytes of which word number i of page number p is p + `first` in every word; `byteCount` long, after `lead` bytes of
/// something else.
func numberedBytes(_ byteCount: Int, first: UInt64, lead: Int = 0) throws -> PageSource {
    let page = SystemPage.size
    return try PageSource(byteCount: lead + byteCount) { span in
        for _ in 0..<lead { span.append(0xEE) }
        var number = first
        for _ in 0..<byteCount / page {
            unsafe span.append(repeating: number, count: page / 8, as: UInt64.self)
            number += 1
        }
        unsafe span.append(repeating: 0xDD, count: byteCount % page, as: UInt8.self)
    }
}

/// A reactor with an in-thread pager, shut down at the end.
func withInThreadPager<T>(
    _ configuration: Pager.Configuration = Pager.Configuration(), queueCapacity: Int? = nil,
    script: (@Sendable (ScriptedKernel.Call, KernelDescriptor) -> Outcome?)? = nil,
    _ body: (Pager) async throws -> T
) async throws -> T {
    var configuration = configuration
    configuration.resolution = .inThread
    let reactor = try Reactor.start()
    do {
        let pager: Pager
        if let script {
            let scripted = ScriptedKernel(
                try Userfaultfd(requiring: .sigbus, requesting: .poison), script: script)
            pager = try await Pager(
                on: reactor, kernel: InThreadKernel(scripted), access: nil, configuration: configuration)
        } else if let queueCapacity {
            let descriptor = try Userfaultfd(requiring: .sigbus, requesting: .poison)
            let kernel = try InThreadKernel(KernelDescriptor(descriptor), queueCapacity: queueCapacity)
            pager = try await Pager(on: reactor, kernel: kernel, access: nil, configuration: configuration)
        } else {
            pager = try await Pager(on: reactor, configuration: configuration)
        }
        let result = try await body(pager)
        await pager.shutdown()
        await reactor.shutdown()
        return result
    } catch {
        await reactor.shutdown()
        throw error
    }
}

extension Region {
    /// The first word of a page.
    func word(ofPage page: Int) -> UInt64 { load(fromByteOffset: page * pageSize, as: UInt64.self) }

    /// A thread that reads the first word of a page.
    func reader(ofPage page: Int) -> FaultingThread<UInt64> { FaultingThread { self.word(ofPage: page) } }

    /// The address of a page.
    func address(ofPage page: Int) -> UInt { range.start + UInt(page * pageSize) }
}
