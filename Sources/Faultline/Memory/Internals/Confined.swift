/// A variable of an object that one thread has to itself, without run-time exclusivity checks: for containers that are
/// changed in place with every fault, a check costs more than the change.
///
/// Inlinable, for the other modules of the package: unspecialised it would cost more than the check.
///
/// Safe because only the loop's thread gets here, and no change to one of these calls out to code that could reach it.
@safe
package struct Confined<Value: ~Copyable>: ~Copyable {
    @usableFromInline let storage: UnsafeMutablePointer<Value>

    @inlinable
    package init(_ value: consuming Value) {
        unsafe storage = .allocate(capacity: 1)
        unsafe storage.initialize(to: value)
    }

    @inlinable
    deinit {
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
    }

    @inlinable
    package var value: Value {
        @inline(__always)
        _read { yield unsafe storage.pointee }
        @inline(__always)
        nonmutating _modify { yield unsafe &storage.pointee }
    }
}
