public import EventReactor
public import Userfault

/// Memory of another process that was handed over, and that nobody serves yet.
///
/// Comes from an ``AdoptionListener``. Take it into service with
/// ``serve(configuration:endsWithChannel:options:handler:)``, or ``refuse()`` it; letting go of the last reference closes
/// everything. Threads of that process that touch the memory meanwhile wait. Any task may call everything here.
public final class Adoption: Sendable {
    /// Who handed it over, as the kernel noted.
    public let credentials: PeerCredentials
    /// The process that connected.
    public let process: ProcessHandle
    /// What it says that its memory is.
    public let description: MemoryDescription
    /// What its descriptor is enabled with.
    public let features: Features
    /// The socket, on which more may be said; what belongs to the handing over is read.
    public let channel: MessageSocket
    /// Descriptors that came along, besides the one for the memory.
    public let otherDescriptors: [OwnedDescriptor]

    private let descriptor: OwnedDescriptor
    private let format: HandoverFormat

    init(
        _ handed: HandoverReader.Handed, _ process: ProcessHandle, _ credentials: PeerCredentials,
        _ channel: MessageSocket, _ format: HandoverFormat
    ) {
        self.credentials = credentials
        self.process = process
        self.channel = channel
        self.format = format
        description = handed.description
        features = handed.features
        descriptor = handed.descriptor
        otherDescriptors = handed.otherDescriptors
    }

    /// Takes the memory into service, all of it before its first fault is read, and tells the peer.
    ///
    /// The pager stops with ``PagerError/Code/processExited`` when the process has exited; no other is disturbed. Goes to the
    /// reactor's thread and back (`UFFDIO_REGISTER` for each area, which has no effect where the process has done that).
    ///
    /// - Parameters:
    ///   - configuration: of the pager.
    ///   - endsWithChannel: whether the pager stops as well when the peer closes its end of ``channel``: then the pager
    ///     reads what comes over it, and drops it.
    ///   - options: chooses the options of an area's region.
    ///   - handler: chooses the handler of an area. Its requests have offsets that begin with the area's.
    /// - Returns: the pager and its regions, which end with the last reference to them.
    /// - Throws: what `handler` throws; ``HandoverError`` if this was done before; ``PagerError``: the process has exited, or
    ///   the kernel refuses an area. The peer is told that it was refused, and all is closed.
    public func serve(
        configuration: Pager.Configuration = Pager.Configuration(), endsWithChannel: Bool = false,
        options: (MemoryDescription.Area) throws -> RegionOptions = { _ in RegionOptions() },
        handler: (MemoryDescription.Area) throws -> any FaultHandler
    ) async throws -> AdoptedMemory {
        let number = descriptor.release()
        guard number >= 0 else { throw HandoverError(.alreadyTaken) }
        do {
            // Closed with this from now on.
            let kernel = KernelDescriptor(Userfaultfd(adopting: number, features: features))
            let choices = try description.areas.map {
                Choice(area: $0, options: try options($0), handler: try handler($0))
            }
            let (process, channel) = (self.process, self.channel)
            let numbers = Lock<[UInt64]>([])
            let pager = try await Pager(
                on: process.reactor, kernel: kernel, access: nil, configuration: configuration,
                isForeign: true
            ) { core throws(PagerError) in
                try core.watch(process)
                for choice in choices {
                    let region = try core.adopt(
                        AdoptableRange(
                            choice.area.range, memory: choice.area.memory, pageSize: choice.area.pageSize,
                            offset: choice.area.offset, handler: choice.handler, options: choice.options))
                    numbers.withLock { $0.append(region.family.number) }
                }
                if endsWithChannel { core.watchEnd(of: channel) }
            }
            let regions = zip(numbers.withLock { $0 }, choices).map { number, choice in
                AdoptedRegion(
                    number: number, range: choice.area.range, pageSize: choice.area.pageSize,
                    name: choice.options.name, pager: pager)
            }
            // A peer that does not want to know is gone, which the pager sees.
            if let acceptance = format.acceptance { _ = await channel.trySend(acceptance) }
            return AdoptedMemory(pager: pager, regions: regions, process: process, channel: channel)
        } catch {
            await end(HandoverError(.refused, error))
            throw error
        }
    }

    /// Tells the peer that its memory is not taken, and closes everything. Without effect once it was taken.
    public func refuse() async {
        let number = descriptor.release()
        guard number >= 0 else { return }
        _ = OwnedDescriptor(owning: number)
        await end(HandoverError(.refused))
    }

    private func end(_ error: HandoverError) async {
        await channel.end(error, format)
    }

    /// What an area is served with.
    private struct Choice: Sendable {
        let area: MemoryDescription.Area
        let options: RegionOptions
        let handler: any FaultHandler
    }
}

extension MessageSocket {
    /// Tells the peer, if it can be told without waiting, and closes.
    func end(_ error: HandoverError, _ format: HandoverFormat) async {
        if let refusal = format.refusal?(error) { _ = await trySend(refusal) }
        await close()
    }
}

/// Memory of another process that is in service.
public struct AdoptedMemory: Sendable {
    /// Serves its faults. Wait for its end with ``Pager/waitUntilStopped()``.
    public let pager: Pager
    /// Its regions, one for each area of the description, in the same order.
    public let regions: [AdoptedRegion]
    /// The process.
    public let process: ProcessHandle
    /// The socket over which it was handed over; closing it tells the process that it is left alone.
    public let channel: MessageSocket
}
