#define _GNU_SOURCE
#include "Peers.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <dirent.h>
#include <stddef.h>

#include "CTestSupport.h"

// Nothing of a sanitizer's runtime either: its locks are inherited as they are, and nobody gives them back.
#define CHILD __attribute__((disable_sanitizer_instrumentation)) CTEST_PLAIN

#define MOST 300

static int type_of(enum ctest_socket_kind kind) {
    switch (kind) {
    case ctest_socket_packets: return SOCK_SEQPACKET;
    case ctest_socket_datagrams: return SOCK_DGRAM;
    default: return SOCK_STREAM;
    }
}

int ctest_socket_pair(enum ctest_socket_kind kind, int *ends) {
    return socketpair(AF_UNIX, type_of(kind) | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(MOST * sizeof(int))];
};

// Also in children: system calls only.
CHILD static int64_t send_message(int socket, const void *bytes, uint64_t size, int descriptor, int count) {
    union control control;
    struct iovec part = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > MOST) return -EINVAL;
    if (count > 0) {
        control.header.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        for (int index = 0; index < count; index++) ((int *)(void *)CMSG_DATA(&control.header))[index] = descriptor;
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    }
    long sent = syscall(SYS_sendmsg, (long)socket, &message, (long)MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

#define MOST_BYTES (1 << 18)
static const char sevens[MOST_BYTES] = {[0 ... MOST_BYTES - 1] = 7};

int64_t ctest_send_message(int socket, uint64_t size, int descriptor, int count) {
    if (size > sizeof(sevens)) return -EINVAL;
    return send_message(socket, sevens, size, descriptor, count);
}

int64_t ctest_receive_message(int socket, uint64_t size, int *descriptor) {
    void *bytes = malloc(size + 1);
    union control control;
    struct iovec part = {bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor) {
        *descriptor = -1;
        message.msg_control = &control;
        message.msg_controllen = CMSG_LEN(sizeof(int));
    }
    long got;
    do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    int error = errno;
    free(bytes);
    if (got < 0) return -error;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (descriptor && header && header->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(header), sizeof(int));
    return got;
}

int ctest_set_send_buffer(int socket, int size) {
    return setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ? -errno : 0;
}

int ctest_finish_sending(int socket) { return shutdown(socket, SHUT_WR) < 0 ? -errno : 0; }

CHILD static int live(const struct ctest_peer *peer, const struct sockaddr_un *address, long length) {
    char byte = 0;
    syscall(SYS_close, (long)peer->release);
    long socket = syscall(SYS_socket, (long)AF_UNIX, (long)type_of(peer->kind), 0L);
    if (socket < 0) return 1;
    if (peer->user) {
        gid_t group = peer->group;
        if (syscall(SYS_setgroups, peer->group ? 1L : 0L, &group) < 0
            || syscall(SYS_setresgid, (long)peer->user, (long)peer->user, (long)peer->user) < 0
            || syscall(SYS_setresuid, (long)peer->user, (long)peer->user, (long)peer->user) < 0) return 2;
    }
    if (syscall(SYS_connect, socket, address, length) < 0) return 3;
    for (int number = 0; number < peer->messages; number++) {
        int64_t sent = send_message((int)socket, sevens, peer->size, peer->descriptor, peer->descriptors);
        if (sent != (int64_t)peer->size) return 4;
    }
    if (peer->waits_for_answer) {
        long got = syscall(SYS_read, socket, &byte, 1L);
        if (got < 0) return 5;
        if (got == 0) return 6;
    }
    if (peer->hold >= 0)
        while (syscall(SYS_read, (long)peer->hold, &byte, 1L) < 0 && errno == EINTR) {}
    return peer->waits_for_answer ? byte : 0;
}

CHILD int64_t ctest_fork_peer(const struct ctest_peer *peer) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(peer->path);
    if (length >= sizeof(address.sun_path) || peer->size > sizeof(sevens)) return -EINVAL;
    memcpy(address.sun_path, peer->path, length);
    if (peer->path[0] == '@') address.sun_path[0] = 0; else length++;
    long made = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    if (made == 0)
        syscall(SYS_exit_group, (long)live(peer, &address, (long)(offsetof(struct sockaddr_un, sun_path) + length)));
    return made < 0 ? -errno : made;
}

int ctest_kill(int process) { return kill(process, SIGKILL) < 0 ? -errno : 0; }

int ctest_count_handed_descriptors(void) {
    static const char *const kinds[] = {"socket:", "pipe:", "anon_inode:[pidfd]", "anon_inode:[userfaultfd]"};
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) return -errno;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char target[64];
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
        target[length < 0 ? 0 : length] = 0;
        for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++)
            if (!strncmp(target, kinds[kind], strlen(kinds[kind]))) count++;
    }
    closedir(directory);
    return count;
}
