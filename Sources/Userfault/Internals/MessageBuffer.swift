internal import CUserfaultfd

/// Room for messages, made once, and their decoding.
///
/// Sendable: the memory has one owner, which cannot be copied, and nothing else points to it.
@safe
struct MessageBuffer: ~Copyable, @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer
    let capacity: Int

    /// The size of `struct uffd_msg`; its layout is asserted in CUserfaultfdCompatibility.h.
    private static let messageSize = 32

    init(capacity: Int) {
        self.capacity = capacity
        unsafe memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: capacity * MessageBuffer.messageSize, alignment: MessageBuffer.messageSize)
        // Touched now, so that the kernel finds the pages when it writes the messages.
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        unsafe memory.deallocate()
    }

    /// Reads what is there; the number of messages, or a negated errno.
    ///
    /// - Parameter isShared: whether others may make the descriptor blocking.
    borrowing func fill(from descriptor: CInt, isShared: Bool) -> Int {
        let got =
            isShared
            ? unsafe cuserfaultfd_read_shared(descriptor, memory.baseAddress, memory.count)
            : unsafe cuserfaultfd_read(descriptor, memory.baseAddress, memory.count)
        return got < 0 ? Int(got) : Int(got) / MessageBuffer.messageSize
    }

    /// Takes what a relay has read; the number of messages.
    borrowing func fill(from relay: MessageRelay) -> Int {
        guard let start = unsafe memory.baseAddress else { return 0 }
        return unsafe relay.take(into: start, capacity: capacity)
    }

    /// Appends the faults from `index` on, up to the first message that is none, or `limit`. Returns where that is.
    func appendFaults(from index: Int, below limit: Int, to faults: inout [Fault]) -> Int {
        var index = index
        while index < limit, code(at: index) == 0x12 {
            faults.append(loadFault(at: index))
            index += 1
        }
        return index
    }

    private func loadFault(at index: Int) -> Fault {
        let threadID = load(UInt32.self, index, 24)
        return Fault(
            address: load(UInt.self, index, 16), flags: Fault.Flags(rawValue: load(UInt64.self, index, 8)),
            threadID: threadID == 0 ? nil : threadID)
    }

    func event(at index: Int) -> Event {
        switch code(at: index) {
        case 0x12:
            return .fault(loadFault(at: index))
        case 0x13:
            return .fork(descriptor: load(CInt.self, index, 8))
        case 0x14:
            return .remap(
                from: load(UInt.self, index, 8), to: load(UInt.self, index, 16),
                byteCount: Int(clamping: load(UInt64.self, index, 24)))
        case 0x15:
            return .remove(range(at: index))
        case 0x16:
            return .unmap(range(at: index))
        case let code:
            return .unknown(code: code)
        }
    }

    /// The descriptor of a fork message, which is -1 from then on; nil for other messages and when
    /// it is -1.
    mutating func takeFork(at index: Int) -> CInt? {
        guard code(at: index) == 0x13 else { return nil }
        let descriptor = load(CInt.self, index, 8)
        guard descriptor >= 0 else { return nil }
        unsafe memory.storeBytes(of: -1, toByteOffset: index * MessageBuffer.messageSize + 8, as: CInt.self)
        return descriptor
    }

    /// Puts a message in by hand, for tests of the decoding.
    mutating func store(_ bytes: [UInt8], at index: Int) {
        for (offset, byte) in bytes.enumerated() where offset < MessageBuffer.messageSize {
            unsafe memory[index * MessageBuffer.messageSize + offset] = byte
        }
    }

    /// Puts the message of a fault in.
    func store(_ fault: Fault, at index: Int) {
        store(UInt8(0x12), index, 0)
        store(fault.flags.rawValue, index, 8)
        store(fault.address, index, 16)
        store(UInt64(fault.threadID ?? 0), index, 24)
    }

    private func store<T: BitwiseCopyable>(_ value: T, _ index: Int, _ offset: Int) {
        precondition(index >= 0 && index < capacity, "no room for a message at \(index)")
        unsafe memory.storeBytes(
            of: value, toByteOffset: index * MessageBuffer.messageSize + offset, as: T.self)
    }

    private func code(at index: Int) -> UInt8 {
        load(UInt8.self, index, 0)
    }

    private func range(at index: Int) -> AddressRange {
        let start = load(UInt.self, index, 8)
        let end = load(UInt.self, index, 16)
        return AddressRange(start: start, byteCount: end > start ? Int(clamping: end - start) : 0)
    }

    private func load<T: BitwiseCopyable>(_ type: T.Type, _ index: Int, _ offset: Int) -> T {
        precondition(index >= 0 && index < capacity, "no message at \(index)")
        return unsafe memory.load(fromByteOffset: index * MessageBuffer.messageSize + offset, as: type)
    }
}
