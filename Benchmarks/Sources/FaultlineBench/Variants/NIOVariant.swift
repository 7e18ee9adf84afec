import Glibc
import NIOCore
import NIOPosix
import Userfault

/// The same on a loop of SwiftNIO: the descriptor is the input of a pipe channel, whose handler copies each page. What one
/// would write in Swift without Faultline.
struct NIOVariant: Variant {
    var name: String { "nio" }

    func start(_ work: ServingWork) async throws -> any RunningServer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let (handler, descriptor, base) = try await loop.submit {
            System.pinThread(to: work.cpu)
            let handler = try NIOFaultHandler(work.source)
            return (NIOLoopBound(handler, eventLoop: loop), try handler.descriptor(), handler.memory.address)
        }.get()
        let channel = try await NIOPipeBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
            .takingOwnershipOfDescriptor(input: descriptor).get()
        return NIOServer(group: group, loop: loop, channel: channel, handler: handler, base: base)
    }
}

/// A region that is served by a channel.
private struct NIOServer: RunningServer {
    var group: MultiThreadedEventLoopGroup
    var loop: any EventLoop
    var channel: any Channel
    var handler: NIOLoopBound<NIOFaultHandler>
    var base: UInt

    func stop() async throws -> Counters {
        let counters = try await loop.submit { handler.value.counters }.get()
        try await channel.close().get()
        try await group.shutdownGracefully()
        return counters
    }
}

/// Takes the messages out of the bytes that the channel reads, and answers each.
private final class NIOFaultHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private(set) var counters = Counters()
    let memory: RegisteredMemory
    private let userfaultfd: Userfaultfd
    private let source: Contents

    init(_ source: Contents) throws {
        self.source = source
        userfaultfd = try Userfaultfd()
        memory = try RegisteredMemory(
            descriptor: userfaultfd.fileDescriptor, byteCount: source.byteCount)
    }

    /// One for a channel, which closes what it is given.
    func descriptor() throws(RunError) -> CInt {
        let descriptor = dup(userfaultfd.fileDescriptor)
        guard descriptor >= 0 else { throw .failed("No descriptor: \(System.describe(errno)).") }
        return descriptor
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = Self.unwrapInboundIn(data)
        counters.reads += 1
        // struct uffd_msg: the event in the first byte, the address at 16.
        while let message = buffer.readSlice(length: 32) {
            counters.messages += 1
            guard message.getInteger(at: message.readerIndex, as: UInt8.self) == 0x12,
                let address: UInt64 = message.getInteger(at: message.readerIndex + 16, endianness: .host)
            else {
                counters.failures += 1
                continue
            }
            install(UInt(address))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        counters.failures += 1
        context.close(promise: nil)
    }

    private func install(_ address: UInt) {
        let size = System.pageSize
        let page = AddressRange(start: address & ~UInt(size - 1), byteCount: size)
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
