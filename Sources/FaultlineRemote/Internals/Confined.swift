/// A variable of an object that one thread has to itself, without run-time exclusivity checks: for containers that are
/// changed in place with every request, a check costs more than the change.
///
/// Safe because only the loop's thread gets here, and no change to one of these calls out to code that could reach it.
@safe
struct Confined<Value>: ~Copyable {
    private let storage: UnsafeMutablePointer<Value>

    init(_ value: Value) {
        unsafe storage = .allocate(capacity: 1)
        unsafe storage.initialize(to: value)
    }

    deinit {
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
    }

    var value: Value {
        @inline(__always)
        _read { yield unsafe storage.pointee }
        @inline(__always)
        nonmutating _modify { yield unsafe &storage.pointee }
    }
}
