#define _GNU_SOURCE
#include "uffd.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int bench_uffd_open(int nonblocking, int *access) { return bench_uffd_open_with(nonblocking, 0, access); }

int bench_uffd_open_with(int nonblocking, uint64_t features, int *access) {
    int flags = O_CLOEXEC | (nonblocking ? O_NONBLOCK : 0);
    int descriptor = -1;
    *access = BENCH_ACCESS_DEVICE;
    int device = open("/dev/userfaultfd", O_RDONLY | O_CLOEXEC);
    if (device >= 0) {
        descriptor = ioctl(device, USERFAULTFD_IOC_NEW, flags);
        close(device);
    }
    if (descriptor < 0) {
        *access = BENCH_ACCESS_SYSTEM_CALL;
        descriptor = (int)syscall(SYS_userfaultfd, flags);
    }
    if (descriptor < 0) {
        *access = BENCH_ACCESS_USER_MODE_ONLY;
        descriptor = (int)syscall(SYS_userfaultfd, flags | UFFD_USER_MODE_ONLY);
    }
    if (descriptor < 0) {
        *access = BENCH_ACCESS_NONE;
        return -errno;
    }
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    if (ioctl(descriptor, UFFDIO_API, &api) != 0) {
        int error = errno;
        close(descriptor);
        *access = BENCH_ACCESS_NONE;
        return -error;
    }
    return descriptor;
}

int bench_uffd_register(int descriptor, uintptr_t start, size_t byte_count) {
    return bench_uffd_register_for(descriptor, start, byte_count, UFFDIO_REGISTER_MODE_MISSING);
}

int bench_uffd_register_for(int descriptor, uintptr_t start, size_t byte_count, uint64_t modes) {
    struct uffdio_register request = {.range = {.start = start, .len = byte_count}, .mode = modes};
    return ioctl(descriptor, UFFDIO_REGISTER, &request) == 0 ? 0 : errno;
}

uintptr_t bench_memory_map(size_t byte_count) {
    void *memory = mmap(
        NULL, byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return 0;
    madvise(memory, byte_count, MADV_NOHUGEPAGE);
    return (uintptr_t)memory;
}

uintptr_t bench_uffd_map(int descriptor, size_t byte_count) {
    uintptr_t memory = bench_memory_map(byte_count);
    if (memory == 0) return 0;
    int error = bench_uffd_register(descriptor, memory, byte_count);
    if (error == 0) return memory;
    munmap((void *)memory, byte_count);
    errno = error;
    return 0;
}

int bench_uffd_copy(
    int descriptor, uintptr_t destination, uintptr_t source, size_t byte_count, int dont_wake, bench_counters *counters
) {
    struct uffdio_copy request = {
        .dst = destination, .src = source, .len = byte_count, .mode = dont_wake ? UFFDIO_COPY_MODE_DONTWAKE : 0};
    for (;;) {
        counters->copies++;
        if (__builtin_expect(ioctl(descriptor, UFFDIO_COPY, &request) == 0, 1)) {
            counters->bytes += request.len;
            return 0;
        }
        int error = errno;
        if (error == EEXIST) {
            // Whoever installed the page may not have woken our thread.
            counters->eexist++;
            bench_uffd_wake(descriptor, destination, byte_count, counters);
            return 0;
        }
        if (error != EAGAIN) return error;
        counters->eagain++;
        if (request.copy > 0) {
            counters->bytes += (uint64_t)request.copy;
            request.dst += (uint64_t)request.copy;
            request.src += (uint64_t)request.copy;
            request.len -= (uint64_t)request.copy;
        } else {
            usleep(20);
        }
    }
}

void bench_uffd_wake(int descriptor, uintptr_t start, size_t byte_count, bench_counters *counters) {
    struct uffdio_range range = {.start = start, .len = byte_count};
    counters->wakes++;
    if (ioctl(descriptor, UFFDIO_WAKE, &range) != 0) counters->failures++;
}
