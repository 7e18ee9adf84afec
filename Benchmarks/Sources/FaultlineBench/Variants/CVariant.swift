/// The baselines in plain C.
struct CVariant: Variant {
    enum Style {
        case read, epoll, batch, merged, positionedRead, ahead, busy, delayed, floor, copies, remote, signal
    }

    var name: String
    var style: Style

    func start(_ work: ServingWork) async throws -> any RunningServer { try CServer(style, work) }
}

/// The baseline of `mixed` in plain C.
struct CMixedVariant: MixedVariant {
    var name: String { "c-epoll" }

    func start(_ work: MixedWork) async throws -> any RunningMixed { try CMixed(work) }
}
