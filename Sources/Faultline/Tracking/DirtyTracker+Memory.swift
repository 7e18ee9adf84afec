public import EventReactor
public import Userfault

extension DirtyTracker {
    /// Tracks memory that has no handler: ordinary memory of this process, of any kind that can be write-protected.
    ///
    /// With the asynchronous engine no reactor is needed, nor any permission: a userfaultfd of its own registers the range,
    /// and nobody reads from it. Returns when every write from now on is noted. Any task; the calling thread is held while
    /// the pages are protected (userfaultfd(2), `UFFDIO_REGISTER`, `UFFDIO_WRITEPROTECT`).
    ///
    /// The memory stays the caller's: it may be unmapped while it is tracked, which ends the tracking of that part.
    ///
    /// - Parameters:
    ///   - range: whole pages that are mapped, and registered with no other userfaultfd.
    ///   - engine: nil for the best there is: the asynchronous one where the kernel has it, else messages.
    ///   - reactor: where messages are read; not used by the asynchronous engine. Its thread must not write to the range, nor
    ///     wait for a thread that does.
    /// - Throws: ``PagerError``: `unsupportedOperation` when the kernel does not have the engine, or messages are to be read and
    ///   there is no reactor; `kernel` for a range that cannot be registered (`EBUSY`: by another descriptor already).
    public convenience init(
        tracking range: AddressRange, engine: Engine? = nil, on reactor: Reactor? = nil
    ) async throws(PagerError) {
        if engine != .messages {
            do throws(PagerError) {
                let source = try Self.asynchronousSource(for: range)
                self.init(
                    engine: .asynchronous, range: range, pageSize: SystemPage.size, source: source)
                return
            } catch {
                // Whatever else is wrong would be wrong with messages too.
                guard engine == nil, reactor != nil, error.code == .unsupportedOperation else { throw error }
            }
        }
        guard let reactor else {
            throw PagerError(
                .unsupportedOperation, "tracking by messages needs a reactor to read them", range: range)
        }
        let source = try await Self.messageSource(for: range, on: reactor)
        self.init(engine: .messages, range: range, pageSize: SystemPage.size, source: source)
    }

    private static func asynchronousSource(for range: AddressRange) throws(PagerError) -> ScanSource {
        let reader = try PagemapReader()
        do throws(UserfaultfdError) {
            let descriptor = try Userfaultfd(requesting: .asynchronousWriteProtect)
            guard descriptor.features.contains(.asynchronousWriteProtect) else {
                throw UserfaultfdError(
                    operation: .handshake, errno: .invalidArgument, missingFeatures: .asynchronousWriteProtect
                )
            }
            _ = try descriptor.register(range, modes: .writeProtect)
            switch descriptor.writeProtect(range, options: .protect) {
            case .whole: break
            case .failed(let error): throw error
            case .gone: throw UserfaultfdError(operation: .writeProtect, errno: .noEntry, range: range)
            default: throw UserfaultfdError(operation: .writeProtect, errno: .tryAgain, range: range)
            }
            return ScanSource(
                reader, range, seesEmptyPages: true, registration: .own(KernelDescriptor(descriptor)),
                mapping: nil)
        } catch {
            guard error.missingFeatures.isEmpty else {
                throw PagerError(
                    .unsupportedOperation, "\(error); give a reactor, to track by messages", range: range)
            }
            throw PagerError(error)
        }
    }

    private static func messageSource(
        for range: AddressRange, on reactor: Reactor
    ) async throws(PagerError) -> MessageSource {
        let pager = try await Pager(on: reactor, configuration: Pager.Configuration(name: "dirty tracker"))
        do throws(PagerError) {
            let options = RegionOptions(name: "tracked memory", modes: .writeProtect)
            let number = try await pager.onCore { core, _ throws(PagerError) in
                try core.register(range, handler: ZeroFillHandler(), options: options).family.number
            }
            return MessageSource(reactor, try await pager.startTracking(number), ownPager: pager)
        } catch {
            await pager.shutdown(within: .zero)
            throw error
        }
    }
}
