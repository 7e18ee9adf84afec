// Processes at the other end of a UNIX-domain socket, and the raw calls with which tests send what a well-behaved peer
// would not. What can fail returns a negated errno.

#ifndef CTEST_PEERS_H
#define CTEST_PEERS_H

#include <stdint.h>

_Pragma("clang assume_nonnull begin")

enum ctest_socket_kind { ctest_socket_stream, ctest_socket_packets, ctest_socket_datagrams };

// A connected pair, closed on exec.
int ctest_socket_pair(enum ctest_socket_kind kind, int *ends);

// One message of `size` bytes, each of them 7, with `count` times `descriptor`. Blocks. What sendmsg(2) returned.
int64_t ctest_send_message(int socket, uint64_t size, int descriptor, int count);
// Takes at most `size` bytes and, if the pointer is given, one descriptor (-1: none came). Blocks.
int64_t ctest_receive_message(int socket, uint64_t size, int *_Nullable descriptor);
// The kernel's buffer for what is sent.
int ctest_set_send_buffer(int socket, int size);
int ctest_finish_sending(int socket);

// A child, forked without the C library, that connects and does as told. It exits with 0, with the byte that it was
// answered, or with the number (1…) of the step that failed.
struct ctest_peer {
    const char *path;           // an abstract name begins with @
    enum ctest_socket_kind kind;
    uint32_t user;              // whom it becomes before it connects; 0: nobody else
    uint32_t group;             // a supplementary group that it has then; 0: none
    int messages;               // how many it sends
    uint64_t size;              // of each, in bytes
    int descriptors;            // with each, all of them copies of …
    int descriptor;
    int waits_for_answer;       // for one byte
    int hold;                   // read end of a pipe: waits for its end before it exits; -1: not wanted
    int release;                // the other end, which the child closes
};
int64_t ctest_fork_peer(const struct ctest_peer *peer);

int ctest_kill(int process);

// Sockets, pipes, process descriptors and userfaultfds that this process has open. What a runtime opens for itself when it
// first needs it is of other kinds.
int ctest_count_handed_descriptors(void);

_Pragma("clang assume_nonnull end")

#endif
