import Glibc
import Userfault

/// The command.
@main
enum Main {
    /// Exit statuses.
    enum Status: CInt {
        case success = 0
        case failure = 1
        case usage = 64
        case unable = 77
    }

    /// How long nothing may move before that is called a hang.
    private static let patience = Duration.seconds(30)

    static func main() async {
        HugePages.watchSignals()
        let status = await run(Array(CommandLine.arguments.dropFirst()))
        HugePages.giveBack()
        exit(status.rawValue)
    }

    private static func run(_ words: [String]) async -> Status {
        do {
            let options = try Options.parse(words)
            guard options.action == .run else {
                say(Options.help)
                return .success
            }
            return try await stress(options)
        } catch let error as UsageError {
            complain(error.description)
            return .usage
        } catch let error as UserfaultfdError where error.operation == .open {
            complain("\(error)")
            return .unable
        } catch {
            complain("\(error)")
            return .failure
        }
    }

    private static func stress(_ options: Options) async throws -> Status {
        _ = try Userfaultfd.probe()
        let desk = Desk()
        let watchdog = try Watchdog(limit: patience) { sentence in
            reportHang(sentence, desk)
            HugePages.giveBack()
            _exit(Status.failure.rawValue)
        }
        defer { watchdog.stop() }
        var ran = 0
        for backing in options.backings {
            say(
                "\(backing.rawValue): \(options.mebibytes) MiB in pages of \(backing.pageSize) bytes, seed \(options.seed)"
            )
            do {
                let summary = try await StressRun(
                    backing: backing, options: options, watchdog: watchdog, desk: desk
                ).run()
                say("\(backing.rawValue): \(summary.text)")
                ran += 1
            } catch let reason as Skipped {
                say("\(backing.rawValue): skipped: \(reason)")
            }
        }
        say(ran == 0 ? "Nothing could be run." : "No corruption, and nobody left waiting.")
        return ran == 0 ? .unable : .success
    }

    private static func reportHang(_ sentence: String, _ desk: Desk) {
        complain(sentence)
        sayThreads()
        if let statistics = desk.statisticsInTime() {
            say("  \(statistics)", isError: true)
        } else {
            say("  the pager's loop does not answer", isError: true)
        }
    }

    private static func complain(_ sentence: String) {
        say("faultline-stress: \(sentence)", isError: true)
    }
}
