// The kernel's userfaultfd interface for Swift: everything that needs the C preprocessor, and
// nothing else.
//
// The ioctl numbers are built with sizeof and do not import into Swift, and distributions ship
// kernel headers that are older than the kernels they run on. So what newer kernels added is
// defined here where the header lacks it; whether the running kernel has it is decided at run time,
// by the handshake.
//
// Every function returns errno as a value (negated where it shares the result with something else)
// and presets output fields to 0, because the kernel leaves them alone when it refuses the
// arguments.

#ifndef CUSERFAULTFD_H
#define CUSERFAULTFD_H

#include <features.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "CUserfaultfdCompatibility.h"
#include "CUserfaultfdFiles.h"

// A result of a call that fills pages: the errno (0: none) and the kernel's *signed* output field.
struct cuserfaultfd_fill {
    int32_t error;
    int64_t done;
};

// A result of UFFDIO_API.
struct cuserfaultfd_handshake {
    int32_t error;
    uint64_t features;
    uint64_t operations;
};

// A result of UFFDIO_REGISTER.
struct cuserfaultfd_registration {
    int32_t error;
    uint64_t operations;
};

// What /proc/self/fdinfo says of a userfaultfd.
struct cuserfaultfd_status {
    int32_t error;
    uint64_t pending;
    uint64_t total;
    uint64_t features;
    uint64_t operations;
};

// MARK: Opening. All return the descriptor, or a negated errno.

static inline int cuserfaultfd_open_device(void) {
    int device = open("/dev/userfaultfd", O_RDONLY | O_CLOEXEC);
    if (device < 0) return -errno;
    int made = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    if (made < 0) made = -errno;
    close(device);
    return made;
}

static inline int cuserfaultfd_open_call(int user_mode_only) {
#ifdef SYS_userfaultfd
    int flags = O_CLOEXEC | O_NONBLOCK | (user_mode_only ? UFFD_USER_MODE_ONLY : 0);
    long made = syscall(SYS_userfaultfd, flags);
    return made < 0 ? -errno : (int)made;
#else
    (void)user_mode_only;
    return -ENOSYS;
#endif
}

static inline int cuserfaultfd_set_flags(int fd) {
    int status = fcntl(fd, F_GETFL);
    if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0) return errno;
    int own = fcntl(fd, F_GETFD);
    if (own < 0 || fcntl(fd, F_SETFD, own | FD_CLOEXEC) < 0) return errno;
    return 0;
}

static inline void cuserfaultfd_close(int fd) {
    // Never repeated: Linux frees the descriptor even when close reports EINTR.
    close(fd);
}

static inline struct cuserfaultfd_handshake cuserfaultfd_api(int fd, uint64_t features) {
    struct uffdio_api api = {.api = UFFD_API, .features = features, .ioctls = 0};
    struct cuserfaultfd_handshake out = {0, 0, 0};
    if (ioctl(fd, UFFDIO_API, &api) < 0) {
        out.error = errno;
        return out;
    }
    out.features = api.features;
    out.operations = api.ioctls;
    return out;
}

// MARK: Ranges. The plain ones return an errno.

static inline struct cuserfaultfd_registration cuserfaultfd_register(
    int fd, uint64_t start, uint64_t length, uint64_t mode) {
    struct uffdio_register arg = {.range = {.start = start, .len = length}, .mode = mode, .ioctls = 0};
    struct cuserfaultfd_registration out = {0, 0};
    if (ioctl(fd, UFFDIO_REGISTER, &arg) < 0) {
        out.error = errno;
        return out;
    }
    out.operations = arg.ioctls;
    return out;
}

static inline int cuserfaultfd_unregister(int fd, uint64_t start, uint64_t length) {
    struct uffdio_range arg = {.start = start, .len = length};
    return ioctl(fd, UFFDIO_UNREGISTER, &arg) < 0 ? errno : 0;
}

static inline int cuserfaultfd_wake(int fd, uint64_t start, uint64_t length) {
    struct uffdio_range arg = {.start = start, .len = length};
    return ioctl(fd, UFFDIO_WAKE, &arg) < 0 ? errno : 0;
}

static inline int cuserfaultfd_writeprotect(int fd, uint64_t start, uint64_t length, uint64_t mode) {
    struct uffdio_writeprotect arg = {.range = {.start = start, .len = length}, .mode = mode};
    return ioctl(fd, UFFDIO_WRITEPROTECT, &arg) < 0 ? errno : 0;
}

// MARK: Fills. The output field is preset to 0 and handed back signed, whatever the errno says.

static inline struct cuserfaultfd_fill cuserfaultfd_copy(
    int fd, uint64_t destination, uint64_t source, uint64_t length, uint64_t mode) {
    struct uffdio_copy arg = {.dst = destination, .src = source, .len = length, .mode = mode, .copy = 0};
    int error = ioctl(fd, UFFDIO_COPY, &arg) < 0 ? errno : 0;
    return (struct cuserfaultfd_fill){error, arg.copy};
}

static inline struct cuserfaultfd_fill cuserfaultfd_zeropage(
    int fd, uint64_t start, uint64_t length, uint64_t mode) {
    struct uffdio_zeropage arg = {.range = {.start = start, .len = length}, .mode = mode, .zeropage = 0};
    int error = ioctl(fd, UFFDIO_ZEROPAGE, &arg) < 0 ? errno : 0;
    return (struct cuserfaultfd_fill){error, arg.zeropage};
}

static inline struct cuserfaultfd_fill cuserfaultfd_continue(
    int fd, uint64_t start, uint64_t length, uint64_t mode) {
    struct uffdio_continue arg = {.range = {.start = start, .len = length}, .mode = mode, .mapped = 0};
    int error = ioctl(fd, UFFDIO_CONTINUE, &arg) < 0 ? errno : 0;
    return (struct cuserfaultfd_fill){error, arg.mapped};
}

static inline struct cuserfaultfd_fill cuserfaultfd_poison(
    int fd, uint64_t start, uint64_t length, uint64_t mode) {
    struct uffdio_poison arg = {.range = {.start = start, .len = length}, .mode = mode, .updated = 0};
    int error = ioctl(fd, UFFDIO_POISON, &arg) < 0 ? errno : 0;
    return (struct cuserfaultfd_fill){error, arg.updated};
}

static inline struct cuserfaultfd_fill cuserfaultfd_move(
    int fd, uint64_t destination, uint64_t source, uint64_t length, uint64_t mode) {
    struct uffdio_move arg = {.dst = destination, .src = source, .len = length, .mode = mode, .move = 0};
    int error = ioctl(fd, UFFDIO_MOVE, &arg) < 0 ? errno : 0;
    return (struct cuserfaultfd_fill){error, arg.move};
}

// MARK: Messages and status

// Reads whole messages; the number of bytes, or a negated errno. Repeats on EINTR.
static inline int64_t cuserfaultfd_read(int fd, void *buffer, size_t byte_count) {
    for (;;) {
        ssize_t got = read(fd, buffer, byte_count);
        if (got >= 0) return got;
        if (errno != EINTR) return -errno;
    }
}

// The same for a descriptor that another process has too, which can make it blocking at any time: does not wait all the
// same (RWF_NOWAIT, which userfaultfds have since 6.10; before that, unless it is made so in the moment of the read).
static inline int64_t cuserfaultfd_read_shared(int fd, void *buffer, size_t byte_count) {
    struct iovec part = {buffer, byte_count};
    for (;;) {
        long got = syscall(SYS_preadv2, (long)fd, &part, 1L, -1L, -1L, 8L /* RWF_NOWAIT */);
        if (got >= 0) return got;
        if (errno == EOPNOTSUPP || errno == ENOSYS) break;
        if (errno != EINTR) return -errno;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK)) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return cuserfaultfd_read(fd, buffer, byte_count);
}

static inline struct cuserfaultfd_status cuserfaultfd_read_status(int fd) {
    struct cuserfaultfd_status out = {0, 0, 0, 0, 0};
    char path[64], text[512];
    if (fcntl(fd, F_GETFD) < 0) {
        out.error = errno;
        return out;
    }
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    int info = open(path, O_RDONLY | O_CLOEXEC);
    if (info < 0) {
        out.error = errno;
        return out;
    }
    int64_t got = cuserfaultfd_read(info, text, sizeof(text) - 1);
    close(info);
    if (got < 0) {
        out.error = (int32_t)-got;
        return out;
    }
    text[got] = 0;
    // "pending:\t%lu\ntotal:\t%lu\nAPI:\t%Lx:%x:%Lx\n"; other kinds of descriptor lack these lines.
    const char *pending = strstr(text, "pending:"), *total = strstr(text, "total:"), *api = strstr(text, "API:");
    const char *features = api ? strchr(api + 4, ':') : NULL;
    const char *operations = features ? strchr(features + 1, ':') : NULL;
    if (!pending || !total || !operations) {
        out.error = EINVAL;
        return out;
    }
    out.pending = strtoull(pending + 8, NULL, 10);
    out.total = strtoull(total + 6, NULL, 10);
    out.features = strtoull(features + 1, NULL, 16);
    out.operations = strtoull(operations + 1, NULL, 16);
    return out;
}

// MARK: Pagemap

// A result of PAGEMAP_SCAN: the number of regions written, and where the walk ended.
struct cuserfaultfd_scan {
    int32_t error;
    int64_t count;
    uint64_t walk_end;
};

// An entry of pagemap: one word for each page.
struct cuserfaultfd_entry {
    int32_t error;
    uint64_t value;
};

// The pagemap of a process, 0 for this one; or a negated errno.
static inline int cuserfaultfd_pagemap_open(int process) {
    char path[64] = "/proc/self/pagemap";
    if (process != 0) snprintf(path, sizeof(path), "/proc/%d/pagemap", process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

// `filter`: category_inverted, category_mask, category_anyof_mask, return_mask.
static inline struct cuserfaultfd_scan cuserfaultfd_pagemap_scan(
    int fd, uint64_t start, uint64_t end, uint64_t flags, uint64_t max_pages, uint64_t inverted, uint64_t all,
    uint64_t any, uint64_t wanted, void *regions, uint64_t capacity) {
    struct cuserfaultfd_pm_scan_arg arg = {
        .size = sizeof(arg), .flags = flags, .start = start, .end = end, .walk_end = start,
        .vec = (uint64_t)(uintptr_t)regions, .vec_len = capacity, .max_pages = max_pages,
        .category_inverted = inverted, .category_mask = all, .category_anyof_mask = any, .return_mask = wanted};
    long count = ioctl(fd, CUSERFAULTFD_PAGEMAP_SCAN, &arg);
    return (struct cuserfaultfd_scan){count < 0 ? errno : 0, count < 0 ? 0 : count, arg.walk_end};
}

static inline struct cuserfaultfd_entry cuserfaultfd_pagemap_entry(int fd, uint64_t page) {
    struct cuserfaultfd_entry out = {0, 0};
    ssize_t got;
    do got = pread(fd, &out.value, sizeof(out.value), (off_t)(page * sizeof(out.value)));
    while (got < 0 && errno == EINTR);
    // Nothing to read: the address lies behind the last of the process, or the process is gone.
    if (got != (ssize_t)sizeof(out.value)) out.error = got < 0 ? errno : ESRCH;
    return out;
}

// Reads this process's own memory through the kernel, which answers EFAULT where a plain access would end in a signal:
// the bytes read, or a negated errno where it is not even one.
static inline int64_t cuserfaultfd_read_memory(void *target, uint64_t source, uint64_t count) {
    struct iovec to = {target, count}, from = {(void *)(uintptr_t)source, count};
    long got;
    do got = syscall(SYS_process_vm_readv, (long)getpid(), &to, 1L, &from, 1L, 0L);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

// Gives the calling thread a longer slice of the processor (struct sched_attr, Linux 6.12): its share stays the same, but threads
// with an ordinary slice need not wait for the end of its own when they wake up. 0 or an errno; older kernels ignore it.
static inline int32_t cuserfaultfd_long_slice(uint64_t nanoseconds) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {0};
    if (syscall(SYS_sched_getattr, 0L, &attr, (unsigned long)sizeof(attr), 0L) != 0) return errno;
    attr.size = sizeof(attr);
    attr.runtime = nanoseconds;
    return syscall(SYS_sched_setattr, 0L, &attr, 0L) == 0 ? 0 : errno;
}

static inline int64_t cuserfaultfd_page_size(void) { return sysconf(_SC_PAGESIZE); }

// A file of no name, in memory, of ordinary or 2 MiB pages.
static inline int cuserfaultfd_anonymous_file(int huge_pages) {
    unsigned flags = 1u /* MFD_CLOEXEC */ | (huge_pages ? 4u /* MFD_HUGETLB */ | 21u << 26 /* 2 MiB */ : 0u);
    int fd = (int)syscall(SYS_memfd_create, "userfault", (unsigned long)flags);
    return fd < 0 ? -errno : fd;
}

static inline uint32_t cuserfaultfd_thread_id(void) { return (uint32_t)syscall(SYS_gettid); }

#endif
