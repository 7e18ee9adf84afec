// Serve page faults by hand, with the typed kernel interface alone: no loop, no handlers.
// Run it with `swift run RawUserfault`.

import Glibc
import Userfault

// Memory whose pages are missing until somebody supplies them.
let byteCount = 2 * SystemPage.size
guard
    let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
    memory != MAP_FAILED
else {
    perror("mmap")
    exit(1)
}
let range = AddressRange(start: UInt(bitPattern: memory), byteCount: byteCount)

// Opening takes the best way that this process is allowed to use.
let userfaultfd = try Userfaultfd()
let possible = try userfaultfd.register(range, modes: .missing)
print("registered \(range), which allows \(possible)")

// A thread reads one byte of each page. It is parked at each until the page is there.
nonisolated func readPages(_ memory: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    for offset in stride(from: 0, to: 2 * SystemPage.size, by: SystemPage.size) {
        print("the thread read \(memory?.load(fromByteOffset: offset, as: UInt8.self) ?? 0)")
    }
    return nil
}
var reader = pthread_t()
let failure = pthread_create(&reader, nil, readPages, memory)
guard failure == 0 else { exit(1) }

// This thread supplies them: 1 everywhere in the first page, 2 everywhere in the second.
let contents = UnsafeMutableRawPointer.allocate(byteCount: SystemPage.size, alignment: SystemPage.size)
var batch = EventBatch()
var served = 0
while served < 2 {
    var readiness = pollfd(fd: userfaultfd.fileDescriptor, events: Int16(POLLIN), revents: 0)
    poll(&readiness, 1, -1)
    for index in 0..<(try batch.read(from: userfaultfd)) {
        guard case .fault(let fault) = batch[index] else { continue }
        let page = AddressRange(start: fault.address & ~UInt(SystemPage.size - 1), byteCount: SystemPage.size)
        let number = UInt8((page.start - range.start) / UInt(SystemPage.size)) + 1
        contents.initializeMemory(as: UInt8.self, repeating: number, count: SystemPage.size)
        switch userfaultfd.copy(from: UInt(bitPattern: contents), to: page) {
        case .whole:
            print("served \(fault)")
            served += 1
        case .exists:
            // A signal can make a thread fault twice: the page is there, but the thread may still sleep.
            try userfaultfd.wake(page)
        case let other:
            print("unexpected: \(other)")
            exit(1)
        }
    }
}

pthread_join(reader, nil)
contents.deallocate()
try userfaultfd.unregister(range)
munmap(memory, byteCount)
// A descriptor in a local variable is closed at the end of its scope; this global one ends with the process.
