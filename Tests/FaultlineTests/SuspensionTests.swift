import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Handlers that wait for other sources of their own reactor.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct SuspensionTests {
    let page = SystemPage.size

    /// Answers each number with a page full of it, for as long as the peer asks.
    private static func servePages(_ connection: Connection) async throws {
        while true {
            let bytes = try await connection.readExactly(8)
            guard bytes.count == 8 else { return await connection.close() }
            var answer: [UInt8] = []
            for _ in 0..<SystemPage.size / 8 { answer += bytes }
            try await connection.write(answer)
        }
    }

    /// A page server on `reactor`, and a handler that asks it, with a connection for each request.
    private static func makePageServer(on reactor: Reactor) async throws -> (
        Task<Void, Never>, ClosureHandler
    ) {
        let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        let address = listener.address
        let server = Task(executorPreference: reactor) {
            await withTaskGroup { group in
                for await connection in listener.connections {
                    group.addTask { try? await servePages(connection) }
                }
            }
        }
        let handler = ClosureHandler { request in
            #expect(reactor.isOnLoop)
            let connection = try await reactor.connect(to: address)
            var contents: [UInt8] = []
            for number in 0..<request.pageCount {
                let wanted = UInt64(request.offset / request.pageSize + number + 1)
                try await connection.write((0..<8).map { UInt8(truncatingIfNeeded: wanted >> (8 * $0)) })
                contents += try await connection.readExactly(request.pageSize)
            }
            #expect(reactor.isOnLoop)
            await connection.close()
            var buffer = try request.makeBuffer()
            buffer.write(contents)
            return .copy(buffer)
        }
        return (server, handler)
    }

    @Test func `pages come over a socket from a server on the same reactor`() async throws {
        let reactor = try Reactor.start()
        let pager = try await Pager(on: reactor)
        let (server, handler) = try await Self.makePageServer(on: reactor)
        let region = try await pager.map(byteCount: 64 * page, handler: handler)
        let threads = (0..<4).map { part in
            FaultingThread {
                (0..<16).allSatisfy { step in
                    let number = step * 4 + part
                    let first = region.load(fromByteOffset: number * region.pageSize, as: UInt64.self)
                    let last = region.load(
                        fromByteOffset: (number + 1) * region.pageSize - 8, as: UInt64.self)
                    return first == UInt64(number + 1) && last == first
                }
            }
        }
        for thread in threads { #expect(await thread.value) }
        #expect(await pager.statistics.presentPages == 64)
        #expect(await pager.statistics.failures == 0)
        await pager.shutdown()
        await reactor.shutdown()
        await server.value
    }

    @Test(.requiresKernelFaults) func `a server that hangs up is a failure of the handler`() async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let reactor = pager.reactor
            let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
            let address = listener.address
            let server = Task(executorPreference: reactor) {
                for await connection in listener.connections { await connection.close() }
            }
            let handler = ClosureHandler { request in
                let connection = try await reactor.connect(to: address)
                guard try await connection.readExactly(request.byteCount).count == request.byteCount else {
                    throw StoreIsDown()
                }
                return .zero
            }
            let region = try await pager.map(byteCount: page, handler: handler)
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
            #expect(await thread.value == nil)
            #expect(log.failures.map(\.action) == [.poisoned])
            await listener.close()
            await server.value
        }
    }

    @Test func `a handler waits for a descriptor, and is resumed on the loop when it is ready`() async throws
    {
        try await withPager { pager in
            let reactor = pager.reactor
            let pipe = BytePipe()
            let descriptor = try await reactor.descriptor(pipe.readEnd, name: "bytes to come")
            let handler = ClosureHandler { request in
                try await descriptor.readable()
                #expect(reactor.isOnLoop)
                guard let byte = pipe.read() else { return .retry(after: .microseconds(50)) }
                var buffer = try request.makeBuffer()
                buffer.write([UInt8](repeating: byte, count: request.byteCount))
                return .copy(buffer)
            }
            let region = try await pager.map(byteCount: 8 * page, handler: handler)
            for number in 0..<8 {
                let thread = FaultingThread {
                    region.load(fromByteOffset: number * region.pageSize, as: UInt8.self)
                }
                await thread.waitUntilParked()
                pipe.write(UInt8(10 + number))
                #expect(await thread.value == UInt8(10 + number))
            }
            await descriptor.cancelAndWait()
        }
    }

    @Test(.requiresKernelFaults) func `a handler that waits for a descriptor is cancelled at the end`()
        async throws
    {
        try await withPager { pager in
            let pipe = BytePipe()
            let descriptor = try await pager.reactor.descriptor(pipe.readEnd)
            let cancelled = Gate()
            let handler = ClosureHandler { request in
                do { try await descriptor.readable() } catch {
                    #expect((error as? ReactorError)?.code == ReactorError.cancelled.code)
                    cancelled.open()
                    throw error
                }
                return .zero
            }
            let region = try await pager.map(byteCount: page, handler: handler)
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
            while handler.callCount == 0 { await Task.yield() }
            await pager.shutdown(within: .milliseconds(1))
            #expect(await thread.value == nil)
            await cancelled.wait()
            await descriptor.cancelAndWait()
        }
    }
}
