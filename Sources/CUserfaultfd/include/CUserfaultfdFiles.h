// Calls on files and on this process's own memory that Swift's Glibc module does not have. Included by CUserfaultfd.h only.
// Errors are negated errno values.

#ifndef CUSERFAULTFD_FILES_H
#define CUSERFAULTFD_FILES_H

#include <sys/mman.h>
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

// MADV_DONTNEED for many ranges of this process's memory, with one flush of the TLB where the kernel can (6.13), else one by one.
// How many ranges were dropped: all of those before the first that the kernel refuses.
static inline uint64_t cuserfaultfd_discard(int process, const struct iovec *ranges, uint64_t count) {
    uint64_t done = 0;
    while (done < count) {
        uint64_t before = done;
        uint64_t batch = count - done < 1024 ? count - done : 1024;
        long bytes = process < 0 ? -1 : syscall(SYS_process_madvise, process, ranges + done, batch, 4L /* MADV_DONTNEED */, 0L);
        if (bytes < 0) process = -1;
        for (; done < count && bytes >= (long)ranges[done].iov_len; done++) bytes -= (long)ranges[done].iov_len;
        if (done == count || (done > before && bytes == 0)) continue;
        // Locked pages need advice of their own (5.18).
        if (madvise(ranges[done].iov_base, ranges[done].iov_len, 4 /* MADV_DONTNEED */) != 0
            && madvise(ranges[done].iov_base, ranges[done].iov_len, 24 /* MADV_DONTNEED_LOCKED */) != 0)
            break;
        done++;
    }
    return done;
}

#endif
