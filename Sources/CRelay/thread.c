#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stddef.h>
#include <sys/resource.h>
#include <time.h>

// The relay's thread. From here on: no function but syscall(3), which is bound before the thread starts, and no memory
// but the relay's own.

enum {
    millisecond = 1000000,
    longest_pause = 16 * millisecond,
    // How long a fill may keep the relay from reading. A fill that takes longer waits for something, and that may be the very
    // thread whose message is to be read.
    gate_patience = 1000 * millisecond,
    gate_spins = 200,
};

static const int64_t for_ever = -1;

RELAY_PLAIN static long wait_for(struct pollfd *entries, long count, int64_t nanoseconds) {
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    return syscall(SYS_ppoll, entries, count, nanoseconds == for_ever ? NULL : &time, NULL, 0L);
}

// Waits for nothing but the end; whether it has come.
RELAY_PLAIN static int pause_for(struct crelay *relay, int64_t nanoseconds) {
    struct pollfd entry = {.fd = relay->stop, .events = POLLIN};
    return wait_for(&entry, 1, nanoseconds) > 0;
}

RELAY_PLAIN static void announce(struct crelay *relay) {
    uint64_t one = 1;
    syscall(SYS_write, (long)relay->ready, &one, (long)sizeof(one));
}

RELAY_PLAIN static void complain(struct crelay *relay, int error) {
    __atomic_store_n(&relay->trouble, error, __ATOMIC_RELEASE);
    announce(relay);
}

// Keeps fills away for the time of a read. False, after a while, when one does not end: then it is read all the same.
RELAY_PLAIN static int close_gate(struct crelay *relay) {
    int64_t patience = gate_patience;
    for (int spins = 0;; spins++) {
        uint32_t seen = gate_free;
        if (__atomic_compare_exchange_n(&relay->gate, &seen, gate_reads, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return 1;
        if (spins < gate_spins) continue;
        if (patience <= 0) return 0;
        if (seen == gate_fills
            && !__atomic_compare_exchange_n(
                &relay->gate, &seen, gate_fills_awaited, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            continue;
        struct timespec step = {0, 10 * millisecond};
        if (syscall(SYS_futex, &relay->gate, FUTEX_WAIT_PRIVATE, gate_fills_awaited, &step, NULL, 0L) < 0
            && errno == ETIMEDOUT)
            patience -= step.tv_nsec;
    }
}

RELAY_PLAIN static void publish(struct crelay *relay, struct relay_chunk *chunk, uint32_t count) {
    uint64_t events = 0;
    const unsigned char *message = chunk->messages + (size_t)chunk->published * relay_message_size;
    for (uint32_t i = 0; i < count; i++, message += relay_message_size) events += *message != relay_event_fault;
    // Before the messages: whoever has taken them all must find the counts equal.
    if (events) __atomic_fetch_add(&relay->events_published, events, __ATOMIC_RELEASE);
    __atomic_store_n(&chunk->published, chunk->published + count, __ATOMIC_RELEASE);
}

// Reads once. The number of messages, or a negated errno.
RELAY_PLAIN static int read_messages(struct crelay *relay, struct relay_chunk *chunk) {
    uint32_t used = chunk->published;
    int is_closed = close_gate(relay);
    long got = syscall(
        SYS_read, (long)relay->userfaultfd, chunk->messages + (size_t)used * relay_message_size,
        (long)(chunk->capacity - used) * relay_message_size);
    int result = got < 0 ? -errno : (int)(got / relay_message_size);
    if (result > 0) publish(relay, chunk, (uint32_t)result);
    if (is_closed) __atomic_store_n(&relay->gate, gate_free, __ATOMIC_RELEASE);
    return got == 0 ? -EPIPE : result;
}

// The chunk to read into; a new one behind it when it is full. NULL when there is no memory.
RELAY_PLAIN static struct relay_chunk *room(struct crelay *relay) {
    struct relay_chunk *chunk = relay->tail;
    if (chunk->published < chunk->capacity) return chunk;
    struct relay_chunk *next = __atomic_exchange_n(&relay->spare, NULL, __ATOMIC_ACQUIRE);
    if (!next) next = relay_map_chunk(relay);
    if (!next) return NULL;
    next->next = NULL;
    next->published = 0;
    relay->tail = next;
    __atomic_store_n(&chunk->next, next, __ATOMIC_RELEASE);
    return next;
}

RELAY_PLAIN void relay_fill_reserve(struct crelay *relay) {
    uint32_t count = relay->reserve_count;
    while (count < relay_reserve_limit) {
        long made = syscall(SYS_fcntl, (long)relay->stop, (long)F_DUPFD_CLOEXEC, 0L);
        if (made < 0) break;
        relay->reserve[count++] = (int)made;
    }
    __atomic_store_n(&relay->reserve_count, count, __ATOMIC_RELEASE);
}

RELAY_PLAIN static int is_passing(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM; }

// Reads with a soft limit on descriptors that is raised for the moment, where the hard one allows it.
RELAY_PLAIN static int read_above_limit(struct crelay *relay, struct relay_chunk *chunk) {
    struct rlimit former, raised;
    if (syscall(SYS_prlimit64, 0L, (long)RLIMIT_NOFILE, NULL, &former) < 0 || former.rlim_cur >= former.rlim_max)
        return -EMFILE;
    raised = former;
    raised.rlim_cur = former.rlim_max - former.rlim_cur > 1024 ? former.rlim_cur + 1024 : former.rlim_max;
    if (syscall(SYS_prlimit64, 0L, (long)RLIMIT_NOFILE, &raised, NULL) < 0) return -EMFILE;
    int got = read_messages(relay, chunk);
    syscall(SYS_prlimit64, 0L, (long)RLIMIT_NOFILE, &former, NULL);
    return got;
}

// Reads once more after a fork's descriptor found no room. Nobody else may be able to make some: whoever would close one may
// wait for a lock that the forking thread holds.
RELAY_PLAIN static int read_with_reserve(struct crelay *relay, struct relay_chunk *chunk, int error) {
    while (is_passing(error) && relay->reserve_count > 0) {
        uint32_t count = relay->reserve_count - 1;
        syscall(SYS_close, (long)relay->reserve[count]);
        __atomic_store_n(&relay->reserve_count, count, __ATOMIC_RELEASE);
        int got = read_messages(relay, chunk);
        // Somebody else may have been faster to take it.
        if (!is_passing(-got)) return got;
        error = -got;
    }
    return error == EMFILE ? read_above_limit(relay, chunk) : -error;
}

RELAY_PLAIN void *relay_run(void *argument) {
    struct crelay *relay = argument;
    int64_t delay = millisecond;
    for (;;) {
        struct relay_chunk *chunk = room(relay);
        if (!chunk) {
            if (pause_for(relay, millisecond)) return NULL;
            continue;
        }
        struct pollfd entries[2] = {
            {.fd = relay->userfaultfd, .events = POLLIN}, {.fd = relay->stop, .events = POLLIN}};
        wait_for(entries, 2, relay->reserve_count < relay_reserve_limit ? 100 * millisecond : for_ever);
        if (entries[1].revents) return NULL;
        int got = entries[0].revents ? read_messages(relay, chunk) : -EAGAIN;
        if (is_passing(-got)) {
            if (delay == millisecond) complain(relay, -got);
            got = read_with_reserve(relay, chunk, -got);
        }
        // Before anyone hears of a fork, since he wants to know whether its descriptor can be spared.
        if (relay->reserve_count < relay_reserve_limit && !is_passing(-got)) relay_fill_reserve(relay);
        if (got > 0) {
            announce(relay);
            delay = millisecond;
        } else if (is_passing(-got)) {
            // The message stays, and poll would report it without pause. Faults come before it in each read.
            if (pause_for(relay, delay)) return NULL;
            delay = delay < longest_pause ? delay * 2 : longest_pause;
        } else if (got != -EAGAIN && got != -EINTR) {
            complain(relay, -got);
            pause_for(relay, for_ever);
            return NULL;
        }
    }
}
