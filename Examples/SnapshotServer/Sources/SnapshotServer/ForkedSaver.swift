import ArgumentParser
import CForkedImage
import EventReactor
import Faultline
import Glibc
import KeyValueStore
import Userfault

/// How images are taken.
enum SavingMethod: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// Pages are protected, and copied before they change.
    case live
    /// A forked child writes its copy of the memory, as Redis does it.
    case fork
}

/// Why a child has taken no image.
struct ForkedImageError: Error, CustomStringConvertible {
    var description: String

    init(_ what: String, _ number: CInt) { description = "\(what): \(String(cString: strerror(number)))" }

    init(_ description: String) { self.description = description }
}

/// Takes images by fork(2): what this server does without, to be compared with.
final class ForkedSaver: Sendable {
    private let region: Region
    private let data: DataThread
    private let path: String
    /// Waits for the child.
    private let worker: WorkerPool

    init(_ region: Region, _ data: DataThread, path: String) throws(ReactorError) {
        self.region = region
        self.data = data
        self.path = path
        worker = try WorkerPool(threads: 1, name: "image waiter")
    }

    /// Takes an image. Pages that are not there read as zero in the child: all must have been loaded.
    func save() async throws -> Saver.Report {
        let began = ContinuousClock.now
        let partial = path + ".partial"
        let file = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw ForkedImageError("'\(partial)' cannot be made", errno) }
        defer { close(file) }
        do {
            guard ftruncate(file, region.byteCount) == 0 else {
                throw ForkedImageError("'\(partial)' cannot be made longer", errno)
            }
            let start = region.range.start
            // Between two commands: all others wait for as long as the fork takes.
            let (child, number, hold, byteCount) = await data.sealed { header in
                let before = ContinuousClock.now
                let child = forked_image_begin(start, header.top, file)
                return (child, errno, before.duration(to: .now), header.top)
            }
            guard child > 0 else { throw ForkedImageError("there is no child", number) }
            let failure = await worker.run { forked_image_wait(child) }
            guard failure == 0 else { throw ForkedImageError("the child could not write", failure) }
            guard rename(partial, path) == 0 else {
                throw ForkedImageError("'\(path)' cannot be replaced", errno)
            }
            return Saver.Report(
                pages: (byteCount + region.pageSize - 1) / region.pageSize, lastPass: .zero,
                longestHold: hold, total: began.duration(to: .now))
        } catch {
            unlink(partial)
            throw error
        }
    }
}
