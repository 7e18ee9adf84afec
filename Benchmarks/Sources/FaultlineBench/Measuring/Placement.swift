/// The CPUs of the faulting and the serving threads, -1 for anywhere.
struct Placement {
    var faulting: Int32
    var serving: Int32

    init(_ pinning: Pinning) throws(UsageError) {
        switch pinning {
        case .none:
            faulting = -1
            serving = -1
        case .same:
            faulting = System.cpu(0) ?? -1
            serving = faulting
        case .cross:
            guard let first = System.cpu(0), let second = System.cpu(1) else {
                throw UsageError(description: "--pin cross needs two CPUs, and there is only one.")
            }
            faulting = first
            serving = second
        }
    }
}
