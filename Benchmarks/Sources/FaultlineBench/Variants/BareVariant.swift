import EventReactor
import Userfault

/// The reactor and the typed kernel interface with nothing in between: what a loop written by hand in Swift costs, and
/// so what the framework adds.
struct BareVariant: Variant {
    var name: String { "reactor-bare" }

    func start(_ work: ServingWork) async throws -> any RunningServer {
        let reactor = try Reactor.start(.init(name: "bare"))
        let loop = try await reactor.run {
            System.pinThread(to: work.cpu)
            return LoopBound(try BareLoop(work, reactor), on: reactor)
        }
        let base = await reactor.run { loop.value.memory.address }
        return BareServer(reactor: reactor, loop: loop, base: base)
    }
}

/// A region that is served by a `BareLoop`.
private struct BareServer: RunningServer {
    var reactor: Reactor
    var loop: LoopBound<BareLoop>
    var base: UInt

    func stop() async throws -> Counters {
        let counters = await reactor.run { loop.value.close() }
        await reactor.shutdown()
        return counters
    }
}

/// Reads what is there, copies each page, and wakes its thread with the copy. Lives on the loop thread.
private final class BareLoop: ReadinessHandler {
    let memory: RegisteredMemory
    private let userfaultfd: Userfaultfd
    private let source: Contents
    private var batch = EventBatch()
    private var watch: DescriptorSource?
    private var counters = Counters()

    init(_ work: ServingWork, _ reactor: Reactor) throws {
        userfaultfd = try Userfaultfd()
        source = work.source
        memory = try RegisteredMemory(
            descriptor: userfaultfd.fileDescriptor, byteCount: work.source.byteCount)
        watch = try reactor.addDescriptor(
            userfaultfd.fileDescriptor, name: "bare", interest: .readable, handler: self)
    }

    func close() -> Counters {
        watch?.cancel()
        watch = nil
        return counters
    }

    func descriptorReady(_ readiness: Readiness) {
        counters.reads += 1
        guard let count = try? batch.read(from: userfaultfd) else {
            counters.failures += 1
            return
        }
        counters.messages += UInt64(count)
        for index in 0..<count {
            if case .fault(let fault) = batch[index] { install(fault) }
        }
    }

    private func install(_ fault: Fault) {
        let size = System.pageSize
        let page = AddressRange(start: fault.address & ~UInt(size - 1), byteCount: size)
        counters.copies += 1
        switch userfaultfd.copy(from: source.address + (page.start - memory.address), to: page) {
        case .whole: counters.bytes += UInt64(size)
        case .exists:
            counters.eexist += 1
            counters.wakes += 1
            try? userfaultfd.wake(page)
        default: counters.failures += 1
        }
    }
}
