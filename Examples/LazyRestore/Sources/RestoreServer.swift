public import EventReactor
public import Faultline
import Userfault

/// Serves the memory of any number of monitors that resume the same snapshot.
public final class RestoreServer: Sendable {
    private let listener: AdoptionListener
    private let image: FileHandler
    private let readAhead: ReadAheadPolicy
    private let log: @Sendable (String) -> Void

    /// Listens for monitors.
    ///
    /// - Parameters:
    ///   - reactor: serves all of them.
    ///   - path: of the socket.
    ///   - image: the snapshot's memory. Mapped, so that what one guest has read is at hand for all.
    ///   - readAhead: how far guests are filled ahead of what they read.
    ///   - policy: who may hand memory over.
    ///   - log: told what happens, on any thread; must not block.
    /// - Throws: `ReactorError` when the address cannot be listened on.
    public init(
        on reactor: Reactor, at path: String, image: FileHandler, readAhead: ReadAheadPolicy = .adaptive,
        policy: PeerPolicy = .rootOrSameUser, log: @escaping @Sendable (String) -> Void
    ) async throws(ReactorError) {
        self.image = image
        self.readAhead = readAhead
        self.log = log
        var options = AdoptionListener.Options()
        options.peerPolicy = policy
        options.limits.byteCount = image.byteCount
        options.format = HandoverFormat { [size = image.byteCount] bytes in
            try GuestRegions.decode(bytes, imageByteCount: size)
        }
        options.onRefusal = { refusal in
            let process = refusal.credentials.map { "process \($0.processID)" } ?? "somebody"
            log("\(process) was refused: \(refusal.error)")
        }
        listener = try await AdoptionListener(on: reactor, at: .unix(path: path), options)
    }

    /// Serves monitors until ``close()``, and then returns when the last of them is gone.
    ///
    /// - Throws: `ReactorError` when the reactor is shut down.
    public func run() async throws(ReactorError) {
        try await listener.run { await self.serve($0) }
    }

    /// Takes no more monitors; those that are there are served as long as they live.
    public func close() async { await listener.close() }

    /// Serves one monitor until it is gone: its process has exited, or has closed the socket.
    private func serve(_ adoption: Adoption) async {
        let name = "monitor \(adoption.process.processID)"
        let log = self.log
        do {
            let configuration = Pager.Configuration(name: name, onFailure: { log("\(name): \($0)") })
            let memory = try await adoption.serve(
                configuration: configuration, endsWithChannel: true,
                options: { [readAhead] in
                    // A guest's memory may be dropped by its balloon: it reads as zero then.
                    RegionOptions(
                        name: "\(name) at \($0.offset)", readAhead: readAhead, removedPages: .zero)
                },
                handler: { [image] _ in image })
            log(
                "\(name): serving \(adoption.description.byteCount >> 20) MiB in \(memory.regions.count) regions"
            )
            do throws(PagerError) {
                try await memory.pager.waitUntilStopped()
            } catch {
                guard error.code == .processExited else { throw error }
            }
            let statistics = await memory.pager.statistics
            log("\(name): gone after \(statistics.messages) faults, \(statistics.bytes >> 20) MiB")
        } catch {
            log("\(name): \(error)")
        }
    }
}
