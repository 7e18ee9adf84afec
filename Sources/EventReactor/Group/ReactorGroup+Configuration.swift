extension ReactorGroup {
    /// How a group is set up. The defaults suit most programs.
    public struct Configuration: Sendable {
        /// How many reactors; nil for as many as ``pinning`` names processors, or else one for each processor that the
        /// process may use (`sched_getaffinity(2)`). Limits of a control group are not looked at.
        public var count: Int?
        /// How each of them is set up. Its number is appended to the name. What it gives out (`onStall`, `turnObserver`) is
        /// called on the threads of all of them, at the same time.
        public var reactor: Reactor.Configuration
        /// Where their threads run.
        public var pinning: Pinning

        /// A configuration; the parameters are the properties of the same names.
        public init(
            count: Int? = nil, reactor: Reactor.Configuration = .init(name: "reactor"),
            pinning: Pinning = .none
        ) {
            self.count = count
            self.reactor = reactor
            self.pinning = pinning
        }
    }

    /// Where the threads of a group run.
    public enum Pinning: Hashable, Sendable {
        /// Where the scheduler puts them, or where the configuration of the reactors says.
        case none
        /// Each on one of the processors that the process may use; when there are more reactors than processors, several share
        /// one.
        case oneProcessorEach
        /// On these processors, in turn.
        case processors([Int])
    }
}

extension ReactorGroup.Configuration {
    /// One entry for each reactor.
    func processors(allowed: [Int]) throws(ReactorError) -> [Int?] {
        let pins: [Int]
        switch pinning {
        case .none: pins = []
        case .oneProcessorEach: pins = allowed
        case .processors(let list): pins = list
        }
        let count = count ?? (pins.isEmpty ? max(allowed.count, 1) : pins.count)
        if case .processors(let list) = pinning, list.isEmpty { throw ReactorError(.emptyGroup) }
        guard count > 0 else { throw ReactorError(.emptyGroup) }
        return (0..<count).map { pins.isEmpty ? nil : pins[$0 % pins.count] }
    }
}
