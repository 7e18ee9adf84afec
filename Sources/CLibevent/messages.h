// Messages that carry descriptors, over UNIX-domain sockets: their control data is taken apart with macros, which Swift
// does not see.

#ifndef FAULTLINE_MESSAGES_H
#define FAULTLINE_MESSAGES_H

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

// A GNU extension; the same on every architecture that Swift runs on.
#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif

// As many descriptors as the kernel lets one message carry (SCM_MAX_FD).
enum { FAULTLINE_MOST_DESCRIPTORS = 253 };

union faultline_control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(FAULTLINE_MOST_DESCRIPTORS * sizeof(int))];
};

struct faultline_received {
    long bytes;         // or a negated errno
    int flags;          // MSG_TRUNC, MSG_CTRUNC
    int descriptors;    // how many were stored
};

// Takes what is there, with at most `capacity` descriptors; never waits. What comes with more is told by MSG_CTRUNC.
static inline struct faultline_received faultline_receive(
    int from, void *bytes, size_t limit, int *descriptors, int capacity) {
    union faultline_control control;
    struct iovec part = {bytes, limit};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct faultline_received result = {0, 0, 0};
    if (capacity > 0) {
        if (capacity > FAULTLINE_MOST_DESCRIPTORS) capacity = FAULTLINE_MOST_DESCRIPTORS;
        message.msg_control = &control;
        // Not CMSG_SPACE: in its padding the kernel would put one descriptor more.
        message.msg_controllen = CMSG_LEN((size_t)capacity * sizeof(int));
    }
    result.bytes = recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (result.bytes < 0) {
        result.bytes = -errno;
        return result;
    }
    result.flags = message.msg_flags;
    for (struct cmsghdr *part_of = CMSG_FIRSTHDR(&message); part_of; part_of = CMSG_NXTHDR(&message, part_of)) {
        if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < count; index++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(part_of) + index * sizeof(int), sizeof(int));
            if (result.descriptors < capacity) descriptors[result.descriptors++] = descriptor;
            else close(descriptor);
        }
    }
    return result;
}

// Sends what the socket takes at once, with `count` descriptors. Never raises SIGPIPE. The bytes sent, or a negated errno.
static inline long faultline_send(int to, const void *bytes, size_t size, const int *descriptors, int count) {
    union faultline_control control;
    struct iovec part = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        if (count > FAULTLINE_MOST_DESCRIPTORS) return -EINVAL;
        size_t length = (size_t)count * sizeof(int);
        memset(&control, 0, CMSG_SPACE(length));
        control.header.cmsg_len = CMSG_LEN(length);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(&control.header), descriptors, length);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(length);
    }
    long sent = sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

// Whether the peer sends nothing more and no byte of it is left.
static inline int faultline_is_at_end(int socket) {
    struct pollfd entry = {.fd = socket, .events = POLLRDHUP};
    int left = 0;
    if (poll(&entry, 1, 0) <= 0) return 0;
    return ioctl(socket, FIONREAD, &left) != 0 || left == 0;
}

#endif
