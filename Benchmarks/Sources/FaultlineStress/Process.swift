internal import CStress
import Glibc
import Userfault

/// Huge pages of the system.
enum HugePages {
    /// Called before anything else that handles signals.
    static func watchSignals() { cstress_loan_watch_signals() }

    /// Raises the limit of those the system makes on demand, until ``giveBack()``, or a signal ends the process. Returns why
    /// it was not raised, or nil: then what the system has reserved already must do.
    static func borrow(_ pages: Int) -> String? {
        let error = cstress_loan_take(UInt64(pages))
        // Twice in a process is once.
        if error == 0 || error == EBUSY { return nil }
        return "vm.nr_overcommit_hugepages cannot be raised (\(Errno(rawValue: error))); run as root"
    }

    static func giveBack() { cstress_loan_give_back() }
}

enum CPUs {
    /// How many this process may use.
    static var count: Int { Int(cstress_cpu_count()) }
}

/// Puts the calling thread to sleep.
func pause(milliseconds: UInt32) { _ = usleep(milliseconds * 1000) }

/// Writes a line to standard output or standard error, at once.
func say(_ text: String, isError: Bool = false) {
    var rest = Array((text + "\n").utf8)[...]
    while !rest.isEmpty {
        let written = unsafe rest.withUnsafeBytes { bytes in
            unsafe write(isError ? 2 : 1, bytes.baseAddress, bytes.count)
        }
        if written < 0 && errno == EINTR { continue }
        if written <= 0 { return }
        rest = rest.dropFirst(written)
    }
}

/// Writes what every thread of this process is doing to standard error.
func sayThreads() { cstress_print_threads(2) }
