import CLibevent
import Glibc

/// The processors of the machine, and where threads run.
extension SystemCall {
    /// The number of the processor on which the caller runs; another one, maybe, a moment later.
    static var currentProcessor: Int { Int(sched_getcpu()) }

    /// The processors that the process may use, ascending: those of its first thread, which is rarely pinned. Where that
    /// cannot be told, all that are there.
    static var allowedProcessors: [Int] {
        var set = ProcessorSet()
        guard unsafe sched_getaffinity(getpid(), MemoryLayout<cpu_set_t>.size, &set.native) == 0 else {
            return Array(0..<max(sysconf(CInt(_SC_NPROCESSORS_ONLN)), 1))
        }
        return set.members
    }
}

/// What the macros `CPU_SET` and `CPU_ISSET` do, which Swift does not import.
struct ProcessorSet {
    var native = cpu_set_t()

    static let capacity = MemoryLayout<cpu_set_t>.size * 8

    /// - Precondition: `processor` is from zero to below ``capacity``.
    mutating func insert(_ processor: Int) {
        precondition(processor >= 0 && processor < Self.capacity)
        unsafe withUnsafeMutableBytes(of: &native) { bytes in
            let offset = processor / UInt.bitWidth * MemoryLayout<UInt>.size
            var word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt.self)
            word |= 1 << UInt(processor % UInt.bitWidth)
            unsafe bytes.storeBytes(of: word, toByteOffset: offset, as: UInt.self)
        }
    }

    var members: [Int] {
        unsafe withUnsafeBytes(of: native) { bytes in
            (0..<Self.capacity).filter { processor in
                let offset = processor / UInt.bitWidth * MemoryLayout<UInt>.size
                let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt.self)
                return word >> UInt(processor % UInt.bitWidth) & 1 == 1
            }
        }
    }
}
