import EventReactor
import Testing

@Suite("Three ways to embed", .timeLimit(.minutes(5)))
struct EmbeddingTests {
    @Test("A reactor with its own thread runs closures on it and returns their values")
    func ownThread() async throws {
        let reactor = try Reactor.start()
        #expect(!reactor.isOnLoop)
        let onLoop = await reactor.run { reactor.isOnLoop }
        #expect(onLoop)
        try await reactor.sleep(for: .milliseconds(1))
        await reactor.shutdown()
    }

    @Test("A pipe's readiness reaches its handler on the loop thread")
    func descriptor() async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        let gate = Gate()
        try await reactor.run { () throws(ReactorError) in
            let handler = OnReady { readiness in
                #expect(readiness == .readable)
                #expect(reactor.isOnLoop)
                pipe.read()
                gate.open()
            }
            try reactor.addDescriptor(pipe.readEnd, name: "pipe", interest: .readable, handler: handler)
        }
        pipe.write()
        await gate.wait()
        await reactor.shutdown()
    }
}
