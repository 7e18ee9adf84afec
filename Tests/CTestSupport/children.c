#define _GNU_SOURCE
#include "CTestSupport.h"

#include "Conformance.h"

// The children run while the C library does not know of them: system calls and plain accesses only.

#define REMOVE_OPTION 256

CTEST_PLAIN static int events(const struct ctest_child *child) {
    uint64_t count = child->b, size = child->c, half = (count + 1) / 2;
    int options = child->options & ~REMOVE_OPTION;
    if (ctest_walk(child->a, half, size, 1, options) >= 0) return 1;
    int64_t moved = ctest_mremap_with(
        child->a, count * size, count * size, MREMAP_MAYMOVE | MREMAP_FIXED, child->d);
    if (moved != (int64_t)child->d) return 2;
    if (ctest_walk(child->d, count, size, 1, options) >= 0) return 3;
    int advice = child->options & REMOVE_OPTION ? MADV_REMOVE : MADV_DONTNEED;
    if (ctest_madvise(child->d, count * size, advice) < 0) return 4;
    if (ctest_walk(child->d, count, size, 0, ctest_walk_zero) >= 0) return 5;
    return 0;
}

// UFFDIO_COPY and UFFDIO_MOVE have the same layout.
CTEST_PLAIN static int fill(const struct ctest_child *child, int number) {
    uint64_t argument[5] = {child->b, child->c, child->d, 0, 0};
    *(volatile uint8_t *)child->c = 0x99;
    return -ctest_ioctl((int)child->a, number, sizeof(argument), (uint64_t)argument);
}

CTEST_PLAIN static void wait_for_end(const struct ctest_child *child) {
    char byte = 1;
    if (child->ready >= 0) syscall(SYS_write, (long)child->ready, &byte, 1L);
    syscall(SYS_close, (long)child->release);
    while (syscall(SYS_read, (long)child->hold, &byte, 1L) < 0 && errno == EINTR) {}
}

CTEST_PLAIN static int live(const struct ctest_child *child) {
    switch (child->task) {
    case ctest_child_wait:
        wait_for_end(child);
        return 0;
    case ctest_child_pin_and_wait:
    {
        int pin = child->c ? ctest_pin_by_gup_test(child->a, child->b) : ctest_pin_by_io_uring(child->a, child->b);
        wait_for_end(child);
        return pin < 0 ? -pin : 0;
    }
    case ctest_child_peek: return *(volatile uint8_t *)child->a;
    case ctest_child_bus_errors:
        for (uint64_t page = 0; page < child->b; page++)
            if (ctest_try_peek(child->a + page * child->c) != -SIGBUS) return 1;
        return 0;
    case ctest_child_copy: return fill(child, 3);
    case ctest_child_move: return fill(child, 5);
    case ctest_child_events: return events(child);
    }
    return 99;
}

CTEST_PLAIN int64_t ctest_fork_child(const struct ctest_child *child) {
    long made = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    if (made == 0) syscall(SYS_exit_group, (long)live(child));
    return made < 0 ? -errno : made;
}
