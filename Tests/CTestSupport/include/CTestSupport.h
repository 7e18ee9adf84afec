// What tests of a kernel interface need and Swift cannot do: memory by address, threads that do
// nothing but one system call or access, raw forks. Addresses are integers. What can fail returns
// a negated errno.
//
// Forks are raw, because glibc's fork() holds the allocator's locks until the fork message is read.
// They belong into exit tests: the pages of the forking process become shared with the child, and
// other tests running in it would find theirs not movable.

#ifndef CTESTSUPPORT_H
#define CTESTSUPPORT_H

#include <features.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// syscall() is variadic: what the kernel reads as 64 bits must be passed as 64 bits.

// Accesses of trapped pages are not the sanitizers' business.
#define CTEST_PLAIN __attribute__((no_sanitize("thread", "address")))

#ifndef MREMAP_MAYMOVE
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2
#endif
#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1U
#define MFD_ALLOW_SEALING 2U
#endif
#ifndef CLONE_FILES
#define CLONE_FILES 0x400
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#endif
#ifndef F_SEAL_WRITE
#define F_SEAL_WRITE 8
#endif

_Pragma("clang assume_nonnull begin")

// MARK: Memory

static inline int64_t ctest_mmap(uint64_t at, uint64_t length, int protection, int flags, int fd) {
    long address = syscall(SYS_mmap, at, length, (long)protection, (long)flags, (long)fd, 0L);
    return address == -1 ? -errno : address;
}

static inline int ctest_munmap(uint64_t at, uint64_t length) {
    return syscall(SYS_munmap, at, length) < 0 ? -errno : 0;
}

static inline int ctest_mprotect(uint64_t at, uint64_t length, int protection) {
    return syscall(SYS_mprotect, at, length, (long)protection) < 0 ? -errno : 0;
}

static inline int ctest_madvise(uint64_t at, uint64_t length, int advice) {
    return syscall(SYS_madvise, at, length, (long)advice) < 0 ? -errno : 0;
}

static inline int ctest_mlock(uint64_t at, uint64_t length) {
    return syscall(SYS_mlock, at, length) < 0 ? -errno : 0;
}

// MLOCK_ONFAULT: without it, the pages are brought in here and now.
static inline int ctest_mlock_on_fault(uint64_t at, uint64_t length) {
    return syscall(SYS_mlock2, at, length, 1) < 0 ? -errno : 0;
}

static inline int64_t ctest_mremap(uint64_t at, uint64_t length, uint64_t to) {
    long address = syscall(SYS_mremap, at, length, length, (long)(MREMAP_MAYMOVE | MREMAP_FIXED), to);
    return address == -1 ? -errno : address;
}

static inline int ctest_memfd(uint64_t length) {
    int fd = (int)syscall(SYS_memfd_create, "test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -errno;
    if (ftruncate(fd, (off_t)length) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static inline int ctest_seal_writes(int fd) { return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 ? -errno : 0; }

static inline int ctest_truncate(int fd, uint64_t length) { return ftruncate(fd, (off_t)length) < 0 ? -errno : 0; }

static inline int ctest_open_read_only(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static inline int ctest_reopen_read_only(int fd) {
    char path[64] = "/proc/self/fd/";
    int digits = 14, value = fd, tens = 1;
    while (value / tens >= 10) tens *= 10;
    for (; tens > 0; tens /= 10) path[digits++] = (char)('0' + value / tens % 10);
    path[digits] = 0;
    return ctest_open_read_only(path);
}

// A file on a tmpfs of its own with room for `length` bytes; needs CAP_SYS_ADMIN.
static inline int ctest_file_on_small_tmpfs(const char *length) {
#if defined(SYS_fsopen) && defined(SYS_fsconfig) && defined(SYS_fsmount)
    int context = (int)syscall(SYS_fsopen, "tmpfs", 1);
    if (context < 0) return -errno;
    int result = 0, mount = -1;
    if (syscall(SYS_fsconfig, context, 1, "size", length, 0) < 0 || syscall(SYS_fsconfig, context, 6, NULL, NULL, 0) < 0
        || (mount = (int)syscall(SYS_fsmount, context, 1, 0)) < 0) {
        result = -errno;
    } else {
        result = openat(mount, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (result < 0) result = -errno;
        close(mount);
    }
    close(context);
    return result;
#else
    return -ENOSYS;
#endif
}

CTEST_PLAIN static inline uint8_t ctest_peek(uint64_t address) { return *(volatile uint8_t *)address; }

CTEST_PLAIN static inline void ctest_poke(uint64_t address, uint8_t value) { *(volatile uint8_t *)address = value; }

// Lets the kernel read a byte on our behalf: 0, or a negated errno.
static inline int ctest_peek_by_system_call(uint64_t address) {
    int ends[2];
    if (pipe(ends) < 0) return -errno;
    int result = syscall(SYS_write, (long)ends[1], address, 1L) < 0 ? -errno : 0;
    close(ends[0]);
    close(ends[1]);
    return result;
}

// Takes a bus error away from whoever catches it: sanitizers and backtracers do.
static inline void ctest_die_of_bus_errors(void) { signal(SIGBUS, SIG_DFL); }

// MARK: Threads that do one thing

enum ctest_deed {
    ctest_deed_peek,
    ctest_deed_poke,
    ctest_deed_system_call,
    ctest_deed_madvise,
    ctest_deed_munmap,
    ctest_deed_mremap,
    ctest_deed_fork_and_peek,
    ctest_deed_call,
};

struct ctest_thread {
    pthread_t thread;
    enum ctest_deed deed;
    uint64_t a, b, c;
    void (*_Nullable call)(void *_Nullable);
    void *_Nullable context;
    int64_t result;
    uint32_t tid;
};

// The child looks at the byte at `address` and exits with it.
CTEST_PLAIN static inline int64_t ctest_fork_and_peek(uint64_t address) {
    long child = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    if (child == 0) syscall(SYS_exit_group, (int)ctest_peek(address));
    return child < 0 ? -errno : child;
}

static inline void *_Nullable ctest_thread_body(void *argument) {
    struct ctest_thread *self = (struct ctest_thread *)argument;
    __atomic_store_n(&self->tid, (uint32_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    switch (self->deed) {
    case ctest_deed_peek: self->result = ctest_peek(self->a); break;
    case ctest_deed_poke: ctest_poke(self->a, (uint8_t)self->b); break;
    case ctest_deed_system_call: self->result = ctest_peek_by_system_call(self->a); break;
    case ctest_deed_madvise: self->result = ctest_madvise(self->a, self->b, (int)self->c); break;
    case ctest_deed_munmap: self->result = ctest_munmap(self->a, self->b); break;
    case ctest_deed_mremap: self->result = ctest_mremap(self->a, self->b, self->c); break;
    case ctest_deed_fork_and_peek: self->result = ctest_fork_and_peek(self->a); break;
    case ctest_deed_call: if (self->call) self->call(self->context); break;
    }
    return NULL;
}

static inline struct ctest_thread *ctest_start(enum ctest_deed deed, uint64_t a, uint64_t b, uint64_t c) {
    struct ctest_thread *self = (struct ctest_thread *)calloc(1, sizeof(*self));
    if (!self) abort();
    self->deed = deed;
    self->a = a;
    self->b = b;
    self->c = c;
    if (pthread_create(&self->thread, NULL, ctest_thread_body, self) != 0) abort();
    return self;
}

static inline struct ctest_thread *ctest_start_call(
    void (*call)(void *_Nullable), void *_Nullable context) {
    struct ctest_thread *self = (struct ctest_thread *)calloc(1, sizeof(*self));
    if (!self) abort();
    self->deed = ctest_deed_call;
    self->call = call;
    self->context = context;
    if (pthread_create(&self->thread, NULL, ctest_thread_body, self) != 0) abort();
    return self;
}

// 0 until the thread runs.
static inline uint32_t ctest_thread_id(struct ctest_thread *self) {
    return __atomic_load_n(&self->tid, __ATOMIC_ACQUIRE);
}

static inline int64_t ctest_join(struct ctest_thread *self) {
    pthread_join(self->thread, NULL);
    int64_t result = self->result;
    free(self);
    return result;
}

// MARK: Processes and privileges

// The exit status of a child: what it passed to exit, or a negated errno, or -1000 - signal.
static inline int ctest_wait(int child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return -errno;
    return WIFSIGNALED(status) ? -1000 - WTERMSIG(status) : WEXITSTATUS(status);
}

// A process that registers memory of its own and is gone; its descriptor lives on in this process,
// because the two shared their table of descriptors.
struct ctest_orphan {
    int fd;
    uint64_t address;
};

// With `exec`, it does not end by itself but by running another program.
CTEST_PLAIN static inline struct ctest_orphan ctest_make_orphan_with(
    uint64_t length, int minor, uint64_t features, int exec) {
    struct ctest_orphan failed = {-1, 0};
    struct ctest_orphan *shared = (struct ctest_orphan *)mmap(
        NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return failed;
    *shared = failed;
    long child = syscall(SYS_clone, (long)(CLONE_FILES | SIGCHLD), 0L, 0L, 0L, 0L);
    if (child == 0) {
        long fd = syscall(SYS_userfaultfd, O_NONBLOCK | O_CLOEXEC | 1);
        struct uffdio_api api = {.api = UFFD_API, .features = features};
        uint64_t address = (uint64_t)ctest_mmap(
            0, length, PROT_READ | PROT_WRITE, (minor ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1);
        struct uffdio_register reg = {.range = {address, length}, .mode = UFFDIO_REGISTER_MODE_MISSING};
        if (fd >= 0 && ioctl((int)fd, UFFDIO_API, &api) == 0 && ioctl((int)fd, UFFDIO_REGISTER, &reg) == 0) {
            shared->address = address;
            shared->fd = (int)fd;
        }
        char *nothing[] = {NULL}, *arguments[] = {(char *)"true", NULL};
        if (exec) {
            syscall(SYS_execve, "/bin/true", arguments, nothing);
            shared->fd = -1;
        }
        syscall(SYS_exit_group, 0);
    }
    if (child > 0 && ctest_wait((int)child) != 0) shared->fd = -1;
    struct ctest_orphan made = *shared;
    munmap(shared, sizeof(*shared));
    return made;
}

static inline struct ctest_orphan ctest_make_orphan(uint64_t length, int minor) {
    return ctest_make_orphan_with(length, minor, 0, 0);
}

// Takes the privileges of the calling thread alone, for good: the raw call does not reach the
// others.
static inline int ctest_become_nobody(void) {
    return syscall(SYS_setresuid, 65534, 65534, 65534) < 0 ? -errno : 0;
}

static inline int ctest_is_root(void) { return geteuid() == 0; }

static inline int ctest_set_descriptor_limit(uint64_t limit) {
    struct rlimit value;
    if (getrlimit(RLIMIT_NOFILE, &value) < 0) return -errno;
    value.rlim_cur = limit;
    return setrlimit(RLIMIT_NOFILE, &value) < 0 ? -errno : 0;
}

// MARK: Descriptors

// A userfaultfd that nobody has enabled: blocking, and inherited by exec.
static inline int ctest_open_raw(void) {
    long fd = syscall(SYS_userfaultfd, 1);
    return fd < 0 ? -errno : (int)fd;
}

static inline int ctest_enable(int fd, uint64_t features) {
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    return ioctl(fd, UFFDIO_API, &api) < 0 ? -errno : 0;
}

static inline int ctest_is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

static inline int ctest_is_nonblocking(int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

static inline int ctest_is_close_on_exec(int fd) { return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

static inline int ctest_close(int fd) { return close(fd) < 0 ? -errno : 0; }

static inline int ctest_duplicate(int fd) {
    int made = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return made < 0 ? -errno : made;
}

// 1 when readable, 0 when the time is over.
static inline int ctest_wait_readable(int fd, int milliseconds) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    int result;
    do result = poll(&entry, 1, milliseconds);
    while (result < 0 && errno == EINTR);
    return result > 0 && (entry.revents & POLLIN) != 0;
}

static inline int ctest_pause(int64_t nanoseconds) {
    struct timespec time = {0, nanoseconds};
    return nanosleep(&time, NULL);
}

_Pragma("clang assume_nonnull end")

#endif
