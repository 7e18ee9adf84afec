// Processes that hand their memory over: each makes a userfaultfd, registers memory, sends both over a UNIX-domain
// socket, touches its pages and looks whether they hold what they should.

#ifndef CTEST_ADOPTION_H
#define CTEST_ADOPTION_H

#include <stdint.h>

_Pragma("clang assume_nonnull begin")

enum ctest_owner_gift {
    ctest_gift_userfaultfd,
    ctest_gift_nothing,         // no descriptor
    ctest_gift_other,           // one that is no userfaultfd
    ctest_gift_not_enabled,     // a userfaultfd before its handshake
    ctest_gift_two,             // the userfaultfd, and another one
};

enum ctest_owner_deed {
    ctest_owner_exit,           // at once
    ctest_owner_walk,           // touches all pages: exits with 0, or 40 if one is wrong
    ctest_owner_threads,        // touches all pages, one thread each, and waits for them
    ctest_owner_wait,           // touches nothing: waits for the end of the pipe `hold`
    ctest_owner_wait_and_walk,  // the same, then touches all pages
    ctest_owner_silent,         // connects, sends nothing, waits for the end of its socket
    ctest_owner_close,          // closes its socket when it was answered, then waits as above
    ctest_owner_blocking,       // makes the userfaultfd blocking, then walks
    ctest_owner_remove,         // walks, drops all pages (MADV_DONTNEED), walks again: zeroes
    ctest_owner_exec,           // becomes another program, /bin/sleep
};

struct ctest_owner {
    const char *path;           // where to connect to; an abstract name begins with @
    int packets;                // whether the socket is of sequenced packets
    uint32_t user;              // whom it becomes before it connects; 0: nobody else
    uint64_t address;           // where its memory is to be: something that can be mapped over
    uint64_t pages, page_size;
    int shared;                 // shared anonymous memory
    uint64_t features;          // of the userfaultfd
    const uint8_t *_Nullable bytes;  // what it sends
    uint64_t size;
    uint64_t first_part;        // sent by themselves, with the descriptor; 0: all at once
    enum ctest_owner_gift gift;
    int waits_for_verdict;      // 8 bytes, of which the last two are zero: else it exits with 20 + the verdict, or 31 if the
                                // socket was closed
    enum ctest_owner_deed deed;
    uint64_t first;             // page i has to hold `first` + i in its first and last word
    int hold, release;          // ends of a pipe: see above; -1: not wanted
    int ready;                  // write end of a pipe: told when it has its verdict; -1: not wanted
};

// Forked without the C library. The process, or a negated errno. What fails before the above exits with 1 to 12.
int64_t ctest_fork_owner(const struct ctest_owner *owner);

_Pragma("clang assume_nonnull end")

#endif
