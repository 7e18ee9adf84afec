import Glibc

/// A descriptor that a loop finds readable once whenever it is told to, by edges: the end of a pipe.
struct ReadyDescriptor {
    let number: CInt
    private let otherEnd: CInt

    init() throws {
        var ends: [CInt] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw Failure("no pipe: error \(errno)") }
        (number, otherEnd) = (ends[0], ends[1])
        var byte: UInt8 = 0
        unsafe _ = write(otherEnd, &byte, 1)
    }

    /// Takes the byte out and puts another one in.
    func makeReady() {
        var byte: UInt8 = 0
        unsafe _ = read(number, &byte, 1)
        unsafe _ = write(otherEnd, &byte, 1)
    }
}
