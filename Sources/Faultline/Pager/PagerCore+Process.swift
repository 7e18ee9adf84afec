import EventReactor
import Userfault

// The end of the process whose memory is served. No message of the descriptor tells of it.
extension PagerCore: ProcessExitObserver {
    /// Stops when `process` has exited.
    func watch(_ process: ProcessHandle) throws(PagerError) {
        guard process.reactor === reactor else {
            throw PagerError(.reactor, "the process is watched on another reactor than the pager's")
        }
        self.process = process
        process.addObserver(self)
        if let stopError { throw stopError }
    }

    func processExited() { stop(because: .processExited("it is not running any more")) }

    /// Stops when the peer closes its end of `channel`. What comes over it is not looked at.
    func watchEnd(of channel: MessageSocket) {
        let link = self.link
        channelWatch = Task(executorPreference: reactor) {
            while true {
                do throws(ReactorError) {
                    guard try await channel.receive(upTo: 4096) != nil else { break }
                } catch {
                    switch error.code {
                    case .tooManyDescriptors, .messageTooLong: continue
                    case .connectionReset: break
                    // Closed here, cancelled, or read by somebody else: nothing about the peer.
                    default: return
                    }
                    break
                }
            }
            await channel.reactor.run { link.peerClosed() }
        }
    }

    func forgetProcess() {
        process?.removeObserver(self)
        process = nil
        channelWatch?.cancel()
        channelWatch = nil
    }
}

extension PagerLink {
    /// The process has closed the socket by which it is known to be there. Loop's thread only.
    func peerClosed() { end(because: .processExited("it has closed its socket")) }
}

extension PagerError {
    static func processExited(_ detail: String, range: AddressRange? = nil) -> PagerError {
        PagerError(
            .processExited, "the process whose memory this was is gone: \(detail)", range: range)
    }
}
