import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// The sender's side. Here it is this process that hands memory over, to itself.
@Suite("Handing memory over", .requiresUserfaultfd, .timeLimit(.minutes(5)))
struct AdoptionHandoverTests {
    /// Memory of this process, registered with a descriptor.
    private final class Held: Sendable {
        let range: AddressRange
        let descriptor: Userfaultfd

        init(_ pages: Int) throws {
            let byteCount = pages * SystemPage.size
            let address = ctest_mmap(0, UInt64(byteCount), 3, 0x22, -1)
            try #require(address > 0)
            range = AddressRange(start: UInt(address), byteCount: byteCount)
            descriptor = try Userfaultfd(requesting: [.poison])
            _ = try descriptor.register(range, modes: .missing)
        }

        deinit { _ = ctest_munmap(UInt64(range.start), UInt64(range.byteCount)) }
    }

    @Test("What is handed over is served", arguments: [SocketKind.stream, .sequencedPackets])
    func accepted(kind: SocketKind) async throws {
        let adopting = try await Adopting { $0.kind = kind }
        let held = try Held(8)
        let range = held.range
        let ended = Gate()
        try await adopting.run { adoption in
            do {
                #expect(adoption.description.areas.map(\.offset) == [5 * SystemPage.size])
                let memory = try await adoption.serve { _ in NumberedPages() }
                #expect(try await memory.channel.receive() == nil)
                await memory.pager.shutdown()
            } catch {
                Issue.record(error)
            }
            ended.open()
        } while: {
            let description = try MemoryDescription([.init(range, offset: 5 * SystemPage.size)])
            let channel = try await MemoryHandover.send(
                held.descriptor, description, to: adopting.listener.address, kind: kind, on: adopting.reactor)
            for page in 0..<8 {
                let address = UInt64(range.start) + UInt64(page * SystemPage.size)
                let thread = FaultingThread { ctest_load(address) }
                #expect(await thread.value == UInt64(page + 5))
            }
            await channel.close()
            await ended.wait()
        }
    }

    @Test("A refusal is told, with its kind; so is a receiver that is gone")
    func refused() async throws {
        let held = try Held(8)
        let range = held.range
        let description = try MemoryDescription([.init(range)])
        func refusal(
            _ change: (inout AdoptionListener.Options) -> Void,
            _ body: @escaping @Sendable (Adoption) async -> Void = { _ in }
        ) async throws -> HandoverError? {
            let adopting = try await Adopting(change)
            let result = Notes<HandoverError>()
            try await adopting.run(body) {
                do throws(HandoverError) {
                    _ = try await MemoryHandover.send(
                        held.descriptor, description, to: adopting.listener.address, on: adopting.reactor)
                    Issue.record("it was taken")
                } catch {
                    result.add(error)
                }
            }
            return result.all.first
        }
        let tooMuch = try await refusal { $0.limits.byteCount = SystemPage.size }
        #expect(tooMuch?.code == .refused)
        #expect((tooMuch?.underlyingError as? HandoverError)?.code == .tooMuch)
        let refused = try await refusal({ _ in }) { await $0.refuse() }
        #expect(refused?.code == .refused && refused?.underlyingError == nil)
        let forgotten = try await refusal { _ in }
        #expect(forgotten?.code == .ended)
        let nobody = try await refusal({ $0.peerPolicy = PeerPolicy { _ in false } })
        #expect(nobody?.code == .ended)
        let reactor = try Reactor.start()
        do throws(HandoverError) {
            _ = try await MemoryHandover.send(
                held.descriptor, description, to: .unix(path: "\0faultline-nobody"), on: reactor)
            Issue.record("it was taken")
        } catch {
            #expect(error.code == .socket)
            #expect((error.underlyingError as? ReactorError)?.code == .connectionRefused)
        }
        await reactor.shutdown()
    }

    @Test("A sender that waits for a verdict can be cancelled")
    func cancelled() async throws {
        let reactor = try Reactor.start()
        let listener = try await reactor.listen(
            on: .unix(path: "\0faultline-silent-\(UInt32.random(in: 0 ... .max))"))
        let held = try Held(1)
        let range = held.range
        let description = try MemoryDescription([.init(range)])
        let sending = Task {
            try await MemoryHandover.send(
                held.descriptor, description, to: listener.address, on: reactor)
        }
        let socket = try await listener.acceptMessages()
        let message = try #require(try await socket.receive(descriptors: 1))
        #expect(try MemoryDescription(decoding: message.bytes) == description)
        #expect(message.descriptors.count == 1)
        sending.cancel()
        do {
            _ = try await sending.value
            Issue.record("nothing was thrown")
        } catch let error as HandoverError {
            #expect((error.underlyingError as? ReactorError)?.code == .cancelled)
        }
        await reactor.shutdown()
    }
}
