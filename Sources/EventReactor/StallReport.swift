/// One activity that held the loop for too long; see ``Reactor/Configuration/stallThreshold``.
public struct StallReport: Hashable, Sendable, CustomStringConvertible {
    /// What held the loop: the name of a source, `job`, `timer`, or the end-of-turn work of a type.
    public var activity: String
    /// How long so far, or in all when the stall is over.
    public var duration: Duration
    /// The kernel function in which the loop thread sleeps (`/proc/self/task/TID/wchan`), where the system
    /// tells; `nil` when it computes, or when the stall is over.
    public var kernelFunction: String?
    /// Whether the stall is still going on.
    public var isOngoing: Bool

    /// Whether the loop thread itself waits for a page fault to be resolved: a deadlock if this loop serves it.
    public var waitsForPageFault: Bool { kernelFunction == "handle_userfault" }

    /// A sentence.
    public var description: String {
        let verb = isOngoing ? "has held" : "held"
        var text = "\(activity) \(verb) the loop for \(duration)"
        if waitsForPageFault {
            text += ": the loop thread itself waits for a page fault"
        } else if let kernelFunction {
            text += ": it sleeps in \(kernelFunction)"
        }
        return text + "."
    }
}
