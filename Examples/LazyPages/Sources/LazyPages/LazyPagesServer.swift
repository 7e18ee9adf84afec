import CheckpointImages
import EventReactor
import Faultline
import Synchronization
import Userfault

/// Serves the memory of the processes of one checkpoint while they are restored, and afterwards until all of it is there.
struct LazyPagesServer: Sendable {
    let reactor: Reactor
    let folder: ImageFolder
    /// Nil where the pages are in the images.
    let pageServer: PageServer?
    let log: Log

    /// Serves the restore that connects next, and returns when nothing is left to do for its processes.
    ///
    /// - Parameters:
    ///   - tree: the processes.
    ///   - listener: where the restore connects.
    /// - Throws: ``LazyPagesError``, ``ImageError`` and what the reactor and pagers throw. The processes find no zeroes
    ///   where they had something else: they get SIGBUS.
    func run(_ tree: ProcessTree, _ listener: Listener) async throws {
        let channel = RestoreChannel(try await listener.acceptMessages())
        // Nobody else has any business here.
        await listener.close()
        log(.information, "a restore of \(tree.processIDs.count) processes has connected")
        let deliveries = Deliveries(log)
        let outcome = await withTaskGroup(of: Void.self) { group in
            let restored = Task { try await receive(tree, channel, deliveries) }
            group.addTask {
                do {
                    try await restored.value
                    log(.information, "all is restored; what is missing follows")
                } catch {}
                deliveries.seal()
            }
            for await delivery in deliveries.stream {
                group.addTask {
                    await delivery.complete(after: restored, log)
                    deliveries.finished(delivery)
                }
            }
            return await restored.result
        }
        await channel.close()
        try outcome.get()
        let failures = deliveries.failures
        guard failures.isEmpty else {
            throw LazyPagesError(
                .pagesLost, "not all pages could be delivered: \(failures.joined(separator: "; "))")
        }
    }

    /// Takes what the restore says until its end.
    private func receive(_ tree: ProcessTree, _ channel: RestoreChannel, _ deliveries: Deliveries)
        async throws
    {
        var expected = Set(tree.processIDs)
        for _ in tree.processIDs {
            let arrival = try await channel.nextProcess()
            let processID =
                switch arrival {
                case .process(let processID, _), .zombie(let processID): processID
                }
            guard expected.remove(processID) != nil else {
                throw LazyPagesError(
                    .badRestore,
                    "process \(processID) is none of those that are expected: \(expected.sorted())")
            }
            switch arrival {
            case .zombie:
                log(.debug, "process \(processID) has no memory")
            case .process(_, let descriptor):
                try await serve(processID, descriptor, deliveries)
            }
        }
        try await channel.waitUntilRestored()
    }

    /// Takes the memory of a process into service.
    private func serve(
        _ processID: Int32, _ descriptor: OwnedDescriptor, _ deliveries: Deliveries
    ) async throws {
        let (memory, pages) = try folder.lazyMemory(of: processID, isLocal: pageServer == nil)
        if memory.misplacedByteCount > 0 {
            log(
                .warning,
                "process \(processID): \(memory.misplacedByteCount) bytes have no mapping that may be lazy")
        }
        let ranges = try ranges(memory, pages, processID)
        let userfault: Userfaultfd
        do {
            userfault = try Userfaultfd(adopting: descriptor.fileDescriptor)
            _ = descriptor.release()
        } catch {
            throw LazyPagesError(
                .badRestore, "the descriptor of process \(processID) is no userfaultfd: \(error)")
        }
        let name = "process \(processID)"
        let delivery = Delivery(name)
        var configuration = Pager.Configuration(name: name)
        configuration.memoryOutside = .zero
        configuration.onFailure = { failure in delivery.note(failure, log) }
        configuration.forkPolicy = .serve(
            handlerFor: { $0.handler },
            onChild: { child in
                log(.debug, "\(name) has forked: \(child.regions.count) regions are served in the child")
                deliveries.add(Delivery("a child of \(name)", child.pager, sharing: delivery))
            })
        delivery.begin(
            try await Pager(on: reactor, adopting: userfault, ranges, configuration: configuration))
        log(.information, "\(name): \(memory.byteCount >> 10) KiB in \(ranges.count) pieces are to come")
        deliveries.add(delivery)
    }

    private func ranges(
        _ memory: LazyMemory, _ pages: PageMap, _ processID: Int32
    ) throws -> [AdoptableRange] {
        guard !memory.pieces.isEmpty else { return [] }
        let source = pageServer == nil ? try folder.pages(of: pages) : nil
        let options = RegionOptions(name: "memory of process \(processID)")
        return memory.pieces.map { piece in
            let count = Int(piece.range.upperBound - piece.range.lowerBound)
            let handler: any FaultHandler
            if let source, let offset = piece.offset {
                handler = MemoryHandler(source, startingAt: Int(offset))
            } else if let pageServer {
                handler = RemotePages(
                    server: pageServer, processID: processID, start: piece.range.lowerBound)
            } else {
                handler = ZeroFillHandler()
            }
            return AdoptableRange(
                AddressRange(start: UInt(piece.range.lowerBound), byteCount: count), registration: .byPeer,
                handler: handler, options: options)
        }
    }
}
