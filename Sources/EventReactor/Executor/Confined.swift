/// A variable of the loop, without run-time exclusivity checks.
///
/// The compiler drops the checks of a class's plain variables where it sees that no access lasts; for containers that are
/// changed in place it cannot, and a check costs more than the change (7 ns each here, some ten in a turn). Safe
/// because only the loop thread gets here, and no change to one of these calls out to code that could reach it.
@safe struct Confined<Value: ~Copyable>: ~Copyable {
    private let storage: UnsafeMutablePointer<Value>

    init(_ value: consuming Value) {
        unsafe storage = .allocate(capacity: 1)
        unsafe storage.initialize(to: value)
    }

    deinit {
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
    }

    var value: Value {
        _read { yield unsafe storage.pointee }
        nonmutating _modify { yield unsafe &storage.pointee }
    }
}
