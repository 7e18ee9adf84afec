import Foundation
import Testing

/// What goes wrong is said, ends the program with a failure, and shows nobody zeroes.
@Suite(.timeLimit(.minutes(5)))
struct RefusalTests {
    /// Runs a restore that goes wrong, and expects `message` in the log.
    private func expectFailure(_ message: String, fault: String = "", _ scene: Scene) async throws {
        let daemon = try await scene.daemon()
        // Memory that was never handed over properly is nobody's to guard.
        let deed = fault.hasSuffix("end") ? "walk" : "exit"
        let restore = try scene.restore("--deeds", deed, "--fault", fault)
        #expect(await daemon.end().status == 1, "\(scene.log)")
        #expect(scene.log.contains("Error: "), "\(scene.log)")
        #expect(scene.log.contains(message), "\(scene.log)")
        #expect(!FileManager.default.fileExists(atPath: scene.socket))
        // 1 would be wrong contents; where nobody serves the memory any more, bus errors are right.
        let restored = await restore.end()
        let expected = fault == "dies" ? [128 + SIGKILL] : [0, 2, 128 + SIGBUS]
        #expect(expected.contains(restored.status), "\(restored.output)")
    }

    @Test(
        arguments: [
            ("no-end", "ended before it was complete"), ("half-end", "ended before it was complete"),
            ("nothing", "ended before it was complete"), ("half-number", "ended before it was complete"),
            ("dies", "ended before it was complete"),
            ("wrong-end", "said 0x12345678 where its end was expected"),
            ("unknown-task", "is none of those that are expected"),
            ("task-twice", "process 100 is none of those that are expected"),
            ("early-descriptor", "sent descriptors in place of the number of a process"),
            ("no-descriptor", "no descriptor came along with process 10"),
            ("no-userfaultfd", "is no userfaultfd"),
        ])
    func `a restore that says something else`(fault: String, message: String) async throws {
        try await expectFailure(message, fault: fault, try await Scene("--tasks", "3"))
    }

    @Test(
        arguments: [
            ("pages-2.img", 5000, "pages-2.img has 5000 bytes and should have"),
            ("pagemap-101.img", 30, "pagemap-101.img: "), ("mm-101.img", 100, "mm-101.img: "),
            ("mm-101.img", 0, "mm-101.img: the image has 0 bytes"),
        ])
    func `images that are cut off`(image: String, length: Int, message: String) async throws {
        let scene = try await Scene("--tasks", "2")
        try scene.change(image) { $0 = $0.prefix(length) }
        try await expectFailure(message, scene)
    }

    /// Of a record, of a field's number, of an address.
    @Test(
        arguments: [
            ("pagemap-100.img", 8, "pagemap-100.img: a record of 4294967295 bytes is cut off after "),
            ("mm-100.img", 8, "mm-100.img: a record of 4294967295 bytes is cut off after "),
            ("mm-100.img", 12, " is no number of a field"),
            ("pagemap-100.img", 20, "pagemap-100.img: there cannot be "),
        ])
    func `lengths that cannot be`(image: String, position: Int, message: String) async throws {
        let scene = try await Scene("--tasks", "1")
        try scene.change(image) { data in
            for offset in position..<position + 4 { data[data.startIndex + offset] = 0xFF }
        }
        try await expectFailure(message, scene)
    }

    @Test(arguments: ["mm-100.img", "pagemap-100.img", "pages-1.img"])
    func `images that are missing`(image: String) async throws {
        let scene = try await Scene("--tasks", "1")
        try FileManager.default.removeItem(atPath: scene.images + "/" + image)
        try await expectFailure("\(image) cannot be", scene)
    }

    @Test func `pages that were left elsewhere are not taken for zeroes`() async throws {
        try await expectFailure("are with a page server", try await Scene("--tasks", "1", "--remote"))
    }

    @Test func `without a tree of processes nobody is let in`() async throws {
        let scene = try await Scene("--tasks", "1")
        try scene.change("pstree.img") { $0[4] ^= 1 }
        let daemon = try await scene.daemon(expectsReadiness: false)
        #expect(await daemon.end().status == 1)
        #expect(scene.log.contains("pstree.img: the image is of the kind"), "\(scene.log)")
    }

    @Test(
        arguments: [
            ("bad-command", "the answer has the command 0x999"), ("too-many", "pages, "),
            ("endless", "pages, "), ("none", "the answer has 0 pages"),
            ("other-address", "the answer is about"),
            ("cut-off", "the page server is gone"), ("lost", "the page server is gone"),
            ("deaf", "has not answered for"),
        ])
    func `a page server that is no good`(fault: String, message: String) async throws {
        let scene = try await Scene("--tasks", "3", "--pages", "2000", "--remote")
        let (server, port) = try await scene.pageServer("--fault", fault)
        let daemon = try await scene.daemon("--page-server", "--port", port, "--page-server-timeout", "0.5")
        let restored = await (try scene.restore("--deeds", "walk")).end()
        #expect(restored.status == 128 + SIGBUS, "\(restored.output)")
        #expect(await daemon.end().status == 1)
        #expect(scene.log.contains(message), "\(scene.log)")
        _ = await server.end()
    }

    @Test func `a page server that is not there`() async throws {
        let scene = try await Scene("--tasks", "1", "--remote")
        let daemon = try await scene.daemon("--page-server", "--port", "1", expectsReadiness: false)
        #expect(await daemon.end().status == 1)
        #expect(scene.log.contains("there is no page server at 127.0.0.1:1"), "\(scene.log)")
    }

    @Test(
        arguments: [
            ["--tls"], ["restore"], ["--page-server"], ["--page-server", "--port", "0"],
            ["--verbosity", "9"],
            ["--status-fd", "-1"], ["--pidfile", "x"], ["-vx"], ["--what"],
        ])
    func `options that are none`(arguments: [String]) async throws {
        #expect(try await Programs.run("lazy-pages", arguments).status == 64)
    }

    @Test func `folders that are not there`() async throws {
        for options in [["-D", "/nowhere/images"], ["-W", "/nowhere/work"], ["-o", "/nowhere/log"]] {
            let result = try await Programs.run("lazy-pages", options + ["-v4"])
            #expect(result.status == 1)
            #expect(result.output.contains("nowhere"), "\(result.output)")
        }
    }
}
