import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

extension Provocation {
    static let readRows = of(
        .read,
        [
            .call("before a successful UFFDIO_API", .failed(.invalidArgument)) { _ in
                let raw = Userfaultfd(adopting: ctest_open_raw(), features: [])
                var batch = EventBatch()
                _ = try batch.read(from: raw)
            },
            // The module says so by reading no message.
            exited(.value(0)) { _, orphan, _ in
                var batch = EventBatch()
                return .value(try batch.read(from: orphan))
            },
            .seen("O_NONBLOCK, nothing pending", .value(0)) {
                var batch = EventBatch()
                return .value(try batch.read(from: $0.served.uffd))
            },
            .beyond(
                "buffer smaller than 32 bytes", .failed(.invalidArgument),
                because: "a batch has room for a message"
            ) { read($0, length: 31) },
            .beyond(
                "bad buffer while a fault is pending", .failed(.badAddress),
                because: "a batch owns its memory"
            ) { scene in
                try withReader(scene) { read(scene, into: neverMapped.start) }
            },
            .beyond(
                "...the failed read CONSUMED the message", .failed(.tryAgain),
                because: "a batch owns its memory"
            ) { scene in
                try withReader(scene) {
                    #expect(read(scene, into: neverMapped.start) == .failed(.badAddress))
                    return read(scene)
                }
            },
        ])

    static let pollRows = of(
        .poll,
        [
            .seen("before UFFDIO_API", .value(Int(POLLERR))) { _ in
                let raw = ctest_open_raw()
                defer { _ = ctest_close(raw) }
                return .value(Int(ctest_poll_now(raw)))
            },
            exited(.value(0)) { _, orphan, _ in .value(Int(ctest_poll_now(orphan.fileDescriptor))) },
        ])

    static let writeRows = of(
        .write,
        [
            .beyond(
                "write(2) on a uffd (O_RDONLY file)", .failed(.badDescriptor),
                because: "the module has nothing to write"
            ) { .failed(Errno(rawValue: -ctest_write_byte($0.uffd, 1))) }
        ])
}

private func read(_ scene: Scene, into address: UInt = 0, length: UInt64 = 32) -> Provocation.Answer {
    let got = ctest_raw_read(scene.uffd, UInt64(address), length)
    return got < 0 ? .failed(Errno(rawValue: CInt(-got))) : .value(Int(got))
}

/// While a thread waits whose message is not read.
private func withReader(_ scene: Scene, _ body: () -> Provocation.Answer) throws -> Provocation.Answer {
    let reader = scene.reader(1)
    try eventually { try scene.served.pending == 1 }
    let answer = body()
    #expect(scene.copy(1) == .whole)
    #expect(reader.join() == 2)
    return answer
}
