#define _GNU_SOURCE
#include "Adoption.h"

#include <sched.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "CTestSupport.h"

// Nothing of a sanitizer's runtime either: its locks are inherited as they are, and nobody gives them back.
#define CHILD __attribute__((disable_sanitizer_instrumentation)) CTEST_PLAIN

// The children run while the C library does not know of them: system calls and plain accesses only.

// Sent with the first byte: one or two descriptors, or none.
CHILD static int64_t send_part(int to, const uint8_t *bytes, uint64_t size, const int *descriptors, int count) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec part = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        control.header.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        for (int index = 0; index < count; index++) ((int *)(void *)CMSG_DATA(&control.header))[index] = descriptors[index];
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    }
    return syscall(SYS_sendmsg, (long)to, &message, (long)MSG_NOSIGNAL);
}

CHILD static int page_is(uint64_t page, uint64_t size, uint64_t word) {
    return *(volatile uint64_t *)page == word && *(volatile uint64_t *)(page + size - 8) == word;
}

CHILD static int walk(const struct ctest_owner *owner, int zero) {
    for (uint64_t page = 0; page < owner->pages; page++)
        if (!page_is(owner->address + page * owner->page_size, owner->page_size, zero ? 0 : owner->first + page))
            return 40;
    return 0;
}

CHILD static void wait_for_end(int fd) {
    char byte;
    for (;;) {
        long got = syscall(SYS_read, (long)fd, &byte, 1L);
        if (got == 0 || (got < 0 && errno != EINTR)) return;
    }
}

CHILD static int verdict(int socket) {
    uint8_t bytes[8];
    uint64_t done = 0;
    while (done < sizeof(bytes)) {
        long got = syscall(SYS_read, (long)socket, bytes + done, (long)(sizeof(bytes) - done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 31;
        done += (uint64_t)got;
    }
    return bytes[6] || bytes[7] ? 20 + bytes[6] : 0;
}

// A thread of which the C library knows nothing.
struct toucher {
    const struct ctest_owner *owner;
    uint64_t page;
    volatile int result;        // -1: not yet
    char stack[4096] __attribute__((aligned(16)));
};

CHILD static int touch(void *argument) {
    struct toucher *self = (struct toucher *)argument;
    const struct ctest_owner *owner = self->owner;
    uint64_t address = owner->address + self->page * owner->page_size;
    self->result = page_is(address, owner->page_size, owner->first + self->page) ? 0 : 40;
    return 0;
}

CHILD static int walk_with_threads(const struct ctest_owner *owner) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    // It puts itself between clone(2) and its callers, with locks that nobody in this process gives back.
    return walk(owner, 0);
#endif
#endif
    uint64_t size = owner->pages * sizeof(struct toucher);
    long memory = syscall(
        SYS_mmap, 0L, size, (long)(PROT_READ | PROT_WRITE), (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L);
    if (memory == -1) return 41;
    struct toucher *touchers = (struct toucher *)memory;
    for (uint64_t page = 0; page < owner->pages; page++) {
        touchers[page].owner = owner;
        touchers[page].page = page;
        touchers[page].result = -1;
        char *top = touchers[page].stack + sizeof(touchers[page].stack);
        int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
        if (clone(touch, top, flags, &touchers[page]) < 0) return 42;
    }
    for (uint64_t page = 0; page < owner->pages; page++) {
        struct timespec moment = {0, 100000};
        while (touchers[page].result < 0) syscall(SYS_nanosleep, &moment, NULL);
        if (touchers[page].result) return touchers[page].result;
    }
    return 0;
}

// The kernel's struct sigaction, all of it zero: the default.
static const uint64_t as_ever[8];

CHILD static int act(const struct ctest_owner *owner, int socket, int fd) {
    switch (owner->deed) {
    case ctest_owner_exit: return 0;
    case ctest_owner_walk: return walk(owner, 0);
    case ctest_owner_threads: return walk_with_threads(owner);
    case ctest_owner_silent:
        wait_for_end(socket);
        return 0;
    case ctest_owner_close:
        syscall(SYS_close, (long)socket);
        wait_for_end(owner->hold);
        return 0;
    case ctest_owner_wait:
        wait_for_end(owner->hold);
        return 0;
    case ctest_owner_wait_and_walk:
        wait_for_end(owner->hold);
        // A bus error ends it, whoever catches them in its parent.
        if (syscall(SYS_rt_sigaction, (long)SIGBUS, as_ever, 0L, 8L) < 0) return 46;
        return walk(owner, 0);
    case ctest_owner_blocking:
        if (syscall(SYS_fcntl, (long)fd, (long)F_SETFL, 0L) < 0) return 43;
        return walk(owner, 0);
    case ctest_owner_remove:
    {
        int result = walk(owner, 0);
        if (result) return result;
        if (syscall(SYS_madvise, owner->address, owner->pages * owner->page_size, (long)MADV_DONTNEED) < 0) return 44;
        return walk(owner, 1);
    }
    case ctest_owner_exec:
    {
        char *arguments[] = {"sleep", "1000", NULL}, *environment[] = {NULL};
        syscall(SYS_execve, "/bin/sleep", arguments, environment);
        return 45;
    }
    }
    return 99;
}

CHILD static int live(const struct ctest_owner *owner, const struct sockaddr_un *address, long length) {
    if (owner->release >= 0) syscall(SYS_close, (long)owner->release);
    uint64_t bytes = owner->pages * owner->page_size;
    int kind = owner->shared ? MAP_SHARED : MAP_PRIVATE;
    long mapped = syscall(
        SYS_mmap, owner->address, bytes, (long)(PROT_READ | PROT_WRITE),
        (long)(kind | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE), -1L, 0L);
    if (mapped != (long)owner->address) return 1;
    // For user mode only: that anybody may have.
    long fd = syscall(SYS_userfaultfd, (long)(O_NONBLOCK | O_CLOEXEC | 1));
    if (fd < 0) return 2;
    struct uffdio_api api = {.api = UFFD_API, .features = owner->features};
    if (owner->gift != ctest_gift_not_enabled) {
        if (syscall(SYS_ioctl, fd, UFFDIO_API, &api) < 0) return 3;
        struct uffdio_register reg = {.range = {owner->address, bytes}, .mode = UFFDIO_REGISTER_MODE_MISSING};
        if (syscall(SYS_ioctl, fd, UFFDIO_REGISTER, &reg) < 0) return 4;
    }
    long type = owner->packets ? SOCK_SEQPACKET : SOCK_STREAM;
    long socket = syscall(SYS_socket, (long)AF_UNIX, type | SOCK_CLOEXEC, 0L);
    if (socket < 0) return 5;
    if (owner->user) {
        long user = (long)owner->user;
        if (syscall(SYS_setgroups, 0L, 0L) < 0 || syscall(SYS_setresgid, user, user, user) < 0
            || syscall(SYS_setresuid, user, user, user) < 0) return 6;
    }
    if (syscall(SYS_connect, socket, address, length) < 0) return 7;
    if (owner->deed == ctest_owner_silent) return act(owner, (int)socket, (int)fd);

    int descriptors[2] = {(int)fd, 0}, count = 1;
    if (owner->gift == ctest_gift_nothing) count = 0;
    if (owner->gift == ctest_gift_other) descriptors[0] = 0;
    if (owner->gift == ctest_gift_two) count = 2;
    uint64_t first = owner->first_part ? owner->first_part : owner->size;
    if (send_part((int)socket, owner->bytes, first, descriptors, count) != (int64_t)first) return 8;
    // The rest byte by byte.
    for (uint64_t done = first; done < owner->size; done++)
        if (send_part((int)socket, owner->bytes + done, 1, NULL, 0) != 1) return 9;
    if (owner->waits_for_verdict) {
        int answer = verdict((int)socket);
        if (answer) return answer;
    }
    char byte = 1;
    if (owner->ready >= 0 && syscall(SYS_write, (long)owner->ready, &byte, 1L) != 1) return 10;
    return act(owner, (int)socket, (int)fd);
}

CHILD int64_t ctest_fork_owner(const struct ctest_owner *owner) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(owner->path);
    if (length >= sizeof(address.sun_path)) return -EINVAL;
    memcpy(address.sun_path, owner->path, length);
    if (owner->path[0] == '@') address.sun_path[0] = 0; else length++;
    long made = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    if (made == 0)
        syscall(SYS_exit_group, (long)live(owner, &address, (long)(offsetof(struct sockaddr_un, sun_path) + length)));
    return made < 0 ? -errno : made;
}
