// Calls on files and on this process's own memory that Swift's Glibc module does not have. Included by CUserfaultfd.h only.
// Errors are negated errno values.

#ifndef CUSERFAULTFD_FILES_H
#define CUSERFAULTFD_FILES_H

#include <sys/uio.h>
#include <sys/vfs.h>

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

// O_DIRECT has a different value on some machines; <fcntl.h> names it for programs that ask for GNU's names only.
#ifdef __O_DIRECT
#define CUSERFAULTFD_O_DIRECT __O_DIRECT
#else
#define CUSERFAULTFD_O_DIRECT O_DIRECT
#endif

static inline int cuserfaultfd_open(const char *path, int flags, int direct, unsigned mode) {
    int fd;
    do fd = open(path, flags | O_CLOEXEC | (direct ? CUSERFAULTFD_O_DIRECT : 0), mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

// Whether all of a file is in the page cache by nature: tmpfs and ramfs.
static inline int cuserfaultfd_lies_in_memory(int fd) {
    struct statfs status;
    if (fstatfs(fd, &status) != 0) return 0;
    uint32_t type = (uint32_t)status.f_type;
    return type == 0x01021994u || type == 0x858458f6u;
}

// The first byte at or after `offset` that lies in no hole; -ENXIO when there is none.
static inline int64_t cuserfaultfd_next_data(int fd, int64_t offset) {
    off_t found = lseek(fd, (off_t)offset, 3 /* SEEK_DATA */);
    return found < 0 ? -errno : (int64_t)found;
}

static inline int cuserfaultfd_punch(int fd, int64_t offset, int64_t count) {
    long result;
    do result = syscall(SYS_fallocate, fd, 2 | 1 /* PUNCH_HOLE | KEEP_SIZE */, offset, count);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

// A descriptor of this process, for cuserfaultfd_discard().
static inline int cuserfaultfd_own_process(void) {
    long fd = syscall(SYS_pidfd_open, (long)getpid(), 0L);
    return fd < 0 ? -errno : (int)fd;
}

// MADV_DONTNEED for many ranges of this process's memory, with one flush of the TLB: the bytes done, or a negated errno.
static inline int64_t cuserfaultfd_discard(int process, const struct iovec *ranges, uint64_t count) {
    long done = syscall(SYS_process_madvise, process, ranges, count, 4L /* MADV_DONTNEED */, 0L);
    return done < 0 ? -errno : done;
}

#endif
