import ArgumentParser
import Foundation
import Glibc

/// Goes on in the background: a second process, made with posix_spawn(3), since one with threads cannot fork.
enum Background {
    /// Starts the same program in a session of its own, waits until a restore can connect to it, and ends this process.
    ///
    /// - Throws: ``LazyPagesError`` when it cannot be started, or ended before.
    static func goOn(_ options: Options) throws {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw failure("pipe") }
        // Nothing of what the caller has open goes along, or it would be open for long.
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            if let number = CInt(name), number > STDERR_FILENO { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
        }
        var arguments = Options.normalized(Array(CommandLine.arguments.dropFirst())).filter {
            $0 != "-d" && $0 != "--daemon"
        }
        // What the caller waits on is written to by this process.
        arguments = without(["--pidfile", "--status-fd", "--ps-socket"], arguments)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // A copy survives, and may have any number that is free.
        let status = max(ends[1], options.psSocket ?? 0) + 1
        posix_spawn_file_actions_adddup2(&actions, ends[1], status)
        if let socket = options.psSocket {
            posix_spawn_file_actions_adddup2(&actions, socket, status + 1)
            arguments += ["--ps-socket", "\(status + 1)"]
        }
        arguments += ["--status-fd", "\(status)"]
        for number in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO]
        where number != STDERR_FILENO || options.logFile != nil {
            posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, 0x80)  // POSIX_SPAWN_SETSID
        let vector = ([CommandLine.arguments[0]] + arguments).map { strdup($0) } + [nil]
        defer { for argument in vector { free(argument) } }
        var processID: pid_t = 0
        let error = posix_spawn(&processID, "/proc/self/exe", &actions, &attributes, vector, environ)
        close(ends[1])
        guard error == 0 else { throw failure("posix_spawn", error) }
        var byte: UInt8 = 1
        var count: Int
        repeat { count = read(ends[0], &byte, 1) } while count < 0 && errno == EINTR
        guard count == 1 else { throw ExitCode(1) }
        if let path = options.pidfile {
            do {
                try "\(processID)".write(toFile: path, atomically: false, encoding: .utf8)
            } catch {
                kill(processID, SIGKILL)
                throw LazyPagesError(.badOptions, "\(path) cannot be written: \(error.localizedDescription)")
            }
        }
        if let descriptor = options.statusFd { _ = write(descriptor, &byte, 1) }
        throw ExitCode(0)
    }

    private static func without(_ names: [String], _ arguments: [String]) -> [String] {
        var rest: [String] = []
        var skips = false
        for argument in arguments {
            if skips {
                skips = false
            } else if names.contains(argument) {
                skips = true
            } else if !names.contains(where: { argument.hasPrefix($0 + "=") }) {
                rest.append(argument)
            }
        }
        return rest
    }

    private static func failure(_ call: String, _ error: CInt = errno) -> LazyPagesError {
        LazyPagesError(
            .badOptions, "the background cannot be reached: \(call): \(String(cString: strerror(error)))")
    }
}
