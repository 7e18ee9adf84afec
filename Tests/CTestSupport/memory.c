#define _GNU_SOURCE
#include "CTestSupport.h"

#include <linux/types.h>
#include <stddef.h>
#include <sys/uio.h>

#include "Conformance.h"

int ctest_memfd_huge(uint64_t length) {
    // MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB
    int fd = (int)syscall(SYS_memfd_create, "test", 1U | 4U | (21U << 26));
    if (fd < 0) return -errno;
    int error = ctest_truncate(fd, length);
    if (error < 0) close(fd);
    return error < 0 ? error : fd;
}

int ctest_punch_hole(int fd, uint64_t offset, uint64_t length) {
    // FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
    return syscall(SYS_fallocate, (long)fd, 3L, offset, length) < 0 ? -errno : 0;
}

int64_t ctest_mremap_with(uint64_t at, uint64_t length, uint64_t new_length, int flags, uint64_t to) {
    long address = syscall(SYS_mremap, at, length, new_length, (long)flags, to);
    return address == -1 ? -errno : address;
}

CTEST_PLAIN uint64_t ctest_load(uint64_t address) { return *(volatile uint64_t *)address; }

CTEST_PLAIN void ctest_store(uint64_t address, uint64_t value) { *(volatile uint64_t *)address = value; }

CTEST_PLAIN void ctest_fill_pages(uint64_t at, uint64_t count, uint64_t page_size, uint64_t first) {
    for (uint64_t page = 0; page < count; page++)
        for (uint64_t offset = 0; offset < page_size; offset += 8)
            *(volatile uint64_t *)(at + page * page_size + offset) = first + page;
}

CTEST_PLAIN void ctest_invert_page(uint64_t at, uint64_t page_size) {
    for (uint64_t offset = 0; offset < page_size; offset += 8) {
        volatile uint64_t *word = (volatile uint64_t *)(at + offset);
        *word = ~*word;
    }
}

CTEST_PLAIN int ctest_page_is(uint64_t at, uint64_t page_size, uint64_t word) {
    for (uint64_t offset = 0; offset < page_size; offset += 8)
        if (*(volatile uint64_t *)(at + offset) != word) return 0;
    return 1;
}

CTEST_PLAIN int64_t ctest_walk(uint64_t at, uint64_t count, uint64_t page_size, uint64_t first, int options) {
    for (uint64_t page = 0; page < count; page++) {
        volatile uint64_t *start = (volatile uint64_t *)(at + page * page_size);
        uint64_t expected = options & ctest_walk_invert ? ~(first + page) : first + page;
        if (options & ctest_walk_zero) expected = 0;
        uint64_t found = *start;
        if (found != expected || start[page_size / 8 - 1] != expected) return (int64_t)page;
        if (options & ctest_walk_write) *start = found;
    }
    return -1;
}

int ctest_poke_by_system_call(uint64_t address, uint8_t value) {
    int ends[2], error = ctest_pipe(ends);
    if (error < 0) return error;
    int result = ctest_write_byte(ends[1], value);
    if (result == 0 && syscall(SYS_read, (long)ends[0], address, 1L) < 0) result = -errno;
    close(ends[0]);
    close(ends[1]);
    return result;
}

int ctest_peek_by_vm_read(uint64_t address) {
    uint8_t byte = 0;
    struct iovec local = {&byte, 1}, remote = {(void *)address, 1};
    long got = syscall(SYS_process_vm_readv, (long)getpid(), &local, 1L, &remote, 1L, 0L);
    return got < 0 ? -errno : byte;
}

// MARK: Pinning

struct gup_test {
    __u64 address, size;
    __u32 flags;
};

int ctest_pin_by_gup_test(uint64_t at, uint64_t length) {
    int fd = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);
    if (fd < 0) return -errno;
    struct gup_test argument = {at, length, 0};
    if (ioctl(fd, _IOW('g', 7, struct gup_test), &argument) == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

CTEST_PLAIN int ctest_pin_by_io_uring(uint64_t at, uint64_t length) {
#if defined(SYS_io_uring_setup) && defined(SYS_io_uring_register)
    uint64_t parameters[15] = {0};  // struct io_uring_params, 120 bytes
    long ring = syscall(SYS_io_uring_setup, 1L, parameters);
    if (ring < 0) return -errno;
    struct iovec buffer = {(void *)at, length};
    if (syscall(SYS_io_uring_register, ring, 0L, &buffer, 1L) == 0) return (int)ring;
    int error = errno;
    close((int)ring);
    return -error;
#else
    (void)at, (void)length;
    return -ENOSYS;
#endif
}

void ctest_unpin(int fd) {
#if defined(SYS_io_uring_register)
    // At once: closing alone lets go of the pages some time later.
    syscall(SYS_io_uring_register, (long)fd, 1L, NULL, 0L);
#endif
    close(fd);
}
