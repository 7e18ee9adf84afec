/// When the threads that wait for pages are let go: with each copy, or together after all copies of a turn.
///
/// Waking costs more than copying when many threads wait, because each wake looks through the whole wait queue of
/// the descriptor; holding a wake back costs time when the woken thread would have had a core to run on.
public enum WakePolicy: Hashable, Sendable {
    /// Each copy wakes its threads (`UFFDIO_COPY` without `UFFDIO_COPY_MODE_DONTWAKE`). Best for one thread or few.
    case immediate
    /// Copies do not wake; one `UFFDIO_WAKE` for each merged run follows all copies of the turn.
    case endOfTurn
    /// `immediate` in a turn that resolves few pages, `endOfTurn` in one that resolves many.
    case adaptive

    /// From this many pages in a turn on, merging the wakes pays (measured: 4 threads gain a third).
    static let adaptiveThreshold = 4

    func wakesAtOnce(pages: Int) -> Bool {
        switch self {
        case .immediate: true
        case .endOfTurn: false
        case .adaptive: pages < Self.adaptiveThreshold
        }
    }
}
