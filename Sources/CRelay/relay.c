#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

// Starting, taking, filling and stopping: the side of the thread that serves.

enum { fill_spins = 300, stack_size = 256 << 10 };

// Populated, so that the kernel finds the pages when it writes messages, and not passed on to children: a child has no
// use for it, and the parent would copy each page at its next write.
RELAY_PLAIN static void *map(uint64_t byte_count) {
    long address = syscall(
        SYS_mmap, 0L, byte_count, (long)(PROT_READ | PROT_WRITE),
        (long)(MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE), -1L, 0L);
    if (address == -1) return NULL;
    syscall(SYS_madvise, address, byte_count, (long)MADV_DONTFORK);
    return (void *)address;
}

RELAY_PLAIN struct relay_chunk *relay_map_chunk(struct crelay *relay) {
    uint64_t byte_count = sizeof(struct relay_chunk) + (uint64_t)relay->chunk_messages * relay_message_size;
    struct relay_chunk *chunk = map(byte_count);
    if (!chunk) return NULL;
    chunk->capacity = relay->chunk_messages;
    chunk->byte_count = byte_count;
    __atomic_fetch_add(&relay->chunk_count, 1, __ATOMIC_RELAXED);
    return chunk;
}

RELAY_PLAIN void relay_unmap_chunk(struct crelay *relay, struct relay_chunk *chunk) {
    syscall(SYS_munmap, chunk, chunk->byte_count);
    __atomic_fetch_sub(&relay->chunk_count, 1, __ATOMIC_RELAXED);
}

static void give_back(struct crelay *relay) {
    for (struct relay_chunk *chunk = relay->head, *next; chunk; chunk = next) {
        next = chunk->next;
        relay_unmap_chunk(relay, chunk);
    }
    if (relay->spare) relay_unmap_chunk(relay, relay->spare);
    for (uint32_t i = 0; i < relay->reserve_count; i++) close(relay->reserve[i]);
    if (relay->ready >= 0) close(relay->ready);
    if (relay->stop >= 0) close(relay->stop);
    munmap(relay, sizeof(*relay));
}

// With every signal blocked from its first moment on: the mask is inherited.
static int start_thread(struct crelay *relay) {
    sigset_t all, former;
    sigfillset(&all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, relay_run, relay);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    pthread_attr_destroy(&attributes);
    if (error) return error;
    relay->thread = (unsigned long)thread;
    relay->is_running = 1;
    pthread_setname_np(thread, "userfault-relay");
    return 0;
}

struct crelay *crelay_start(int userfaultfd, uint32_t chunk_messages, int *error) {
    struct crelay *relay = map(sizeof(*relay));
    if (!relay) {
        *error = errno;
        return NULL;
    }
    relay->userfaultfd = userfaultfd;
    relay->chunk_messages = chunk_messages ? chunk_messages : 1;
    relay->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    relay->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (relay->stop >= 0) relay_fill_reserve(relay);
    *error = errno;
    if (relay->reserve_count == relay_reserve_limit && relay->ready >= 0) {
        relay->head = relay->tail = relay_map_chunk(relay);
        *error = relay->head ? start_thread(relay) : ENOMEM;
        if (!*error) return relay;
    }
    give_back(relay);
    return NULL;
}

int crelay_descriptor(const struct crelay *relay) { return relay->ready; }

uint32_t crelay_chunk_count(const struct crelay *relay) {
    return __atomic_load_n(&relay->chunk_count, __ATOMIC_RELAXED);
}

uint32_t crelay_reserve_count(const struct crelay *relay) {
    return __atomic_load_n(&relay->reserve_count, __ATOMIC_ACQUIRE);
}

int crelay_take_trouble(struct crelay *relay) { return __atomic_exchange_n(&relay->trouble, 0, __ATOMIC_ACQUIRE); }

// Makes a chunk whose messages were taken the spare one.
RELAY_PLAIN static void recycle(struct crelay *relay, struct relay_chunk *chunk) {
    struct relay_chunk *former = __atomic_exchange_n(&relay->spare, chunk, __ATOMIC_ACQ_REL);
    if (former) relay_unmap_chunk(relay, former);
}

RELAY_PLAIN int64_t crelay_take(struct crelay *relay, void *buffer, uint64_t capacity) {
    // First reset, then look: a message that is missed here comes with a write of its own.
    uint64_t count;
    syscall(SYS_read, (long)relay->ready, &count, (long)sizeof(count));
    uint64_t taken = 0, *target = buffer;
    while (taken < capacity) {
        struct relay_chunk *chunk = relay->head;
        uint32_t published = __atomic_load_n(&chunk->published, __ATOMIC_ACQUIRE);
        if (relay->taken == published) {
            struct relay_chunk *next = __atomic_load_n(&chunk->next, __ATOMIC_ACQUIRE);
            if (published < chunk->capacity || !next) break;
            relay->head = next;
            relay->taken = 0;
            recycle(relay, chunk);
            continue;
        }
        const unsigned char *message = chunk->messages + (size_t)relay->taken * relay_message_size;
        for (; taken < capacity && relay->taken < published; taken++, relay->taken++) {
            relay->events_taken += *message != relay_event_fault;
            for (int word = 0; word < relay_message_size / 8; word++, message += 8)
                *target++ = *(const uint64_t *)message;
        }
    }
    return (int64_t)taken;
}

RELAY_PLAIN static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

RELAY_PLAIN int crelay_begin_fill(struct crelay *relay) {
    for (int spins = 0;; spins++) {
        uint32_t seen = gate_free;
        if (__atomic_compare_exchange_n(&relay->gate, &seen, gate_fills, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) break;
        if (spins == fill_spins) return 0;
        relax();
    }
    if (__atomic_load_n(&relay->events_published, __ATOMIC_ACQUIRE) == relay->events_taken) return 1;
    crelay_end_fill(relay);
    return 0;
}

RELAY_PLAIN void crelay_end_fill(struct crelay *relay) {
    uint32_t former = __atomic_exchange_n(&relay->gate, gate_free, __ATOMIC_RELEASE);
    if (former == gate_fills_awaited)
        syscall(SYS_futex, &relay->gate, (long)FUTEX_WAKE_PRIVATE, 1L, NULL, NULL, 0L);
}

void crelay_stop(struct crelay *relay) {
    if (!relay->is_running) return;
    relay->is_running = 0;
    uint64_t one = 1;
    while (write(relay->stop, &one, sizeof(one)) < 0 && errno == EINTR) {}
    pthread_join((pthread_t)relay->thread, NULL);
}

void crelay_free(struct crelay *relay) {
    crelay_stop(relay);
    give_back(relay);
}
