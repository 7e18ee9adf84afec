/// A first-in, first-out queue of jobs that only the loop thread touches. Grows; never shrinks.
@safe struct JobRing: ~Copyable {
    private var storage: UnsafeMutablePointer<JobItem>
    private var mask: Int
    private var head = 0
    private var tail = 0

    init(capacity: Int = 256) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0, "a power of two")
        unsafe storage = .allocate(capacity: capacity)
        mask = capacity - 1
    }

    deinit {
        unsafe storage.deallocate()
    }

    var isEmpty: Bool { head == tail }
    var count: Int { tail &- head }

    @inline(__always)
    mutating func append(_ item: JobItem) {
        if tail &- head > mask { grow() }
        unsafe (storage + (tail & mask)).initialize(to: item)
        tail &+= 1
    }

    @inline(__always)
    mutating func popFirst() -> JobItem? {
        guard head != tail else { return nil }
        defer { head &+= 1 }
        return unsafe storage[head & mask]
    }

    @inline(never)
    private mutating func grow() {
        let count = self.count
        let larger = UnsafeMutablePointer<JobItem>.allocate(capacity: (mask + 1) * 2)
        for index in 0..<count {
            unsafe (larger + index).initialize(to: storage[(head &+ index) & mask])
        }
        unsafe storage.deallocate()
        unsafe storage = larger
        mask = mask * 2 + 1
        head = 0
        tail = count
    }
}
