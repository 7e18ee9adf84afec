// Faults on their way from the threads that took them to the reactor that serves them.
//
// A pool of records made beforehand, a list of those that are free, and a list of those that are on their way. Both
// change by one compare-and-swap, so that a thread that is interrupted, or ends, at any point holds up nobody: in a
// ring, one that has reserved its cell and not filled it stops the reader.

#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

struct record {
    uint64_t address;
    // Where the thread sleeps, and what it saw there before.
    struct cinthread_place *place;
    uint32_t word;
    uint32_t thread;
    bool is_write;
    // Numbers of records count from 1; 0 is none.
    _Atomic uint32_t next;
};

struct cinthread_queue {
    // The first free record, and in the upper half the number of changes: a record that was taken and given back
    // meanwhile makes a difference.
    _Alignas(64) _Atomic uint64_t free;
    // The newest fault.
    _Alignas(64) _Atomic uint32_t newest;
    // The oldest of those that the reader has taken over; the reader's own.
    uint32_t oldest;
    int descriptor;
    bool names_threads;
    _Atomic pthread_t server;
    _Atomic uint32_t users;
    uint32_t capacity;
    struct record records[];
};

CINTHREAD_BEGIN_PLAIN

static struct record *record_of(struct cinthread_queue *queue, uint32_t number) { return &queue->records[number - 1]; }

static uint32_t take_free(struct cinthread_queue *queue) {
    uint64_t head = atomic_load(&queue->free), rest;
    do {
        uint32_t number = (uint32_t)head;
        if (number == 0) return 0;
        // May be another's by now; then the swap fails.
        uint32_t next = atomic_load_explicit(&record_of(queue, number)->next, memory_order_relaxed);
        rest = ((head >> 32) + 1) << 32 | next;
    } while (!atomic_compare_exchange_weak(&queue->free, &head, rest));
    return (uint32_t)head;
}

static void give_back(struct cinthread_queue *queue, uint32_t number) {
    uint64_t head = atomic_load(&queue->free), longer;
    do {
        atomic_store_explicit(&record_of(queue, number)->next, (uint32_t)head, memory_order_relaxed);
        longer = ((head >> 32) + 1) << 32 | number;
    } while (!atomic_compare_exchange_weak(&queue->free, &head, longer));
}

bool cinthread_queue_put(
    struct cinthread_queue *queue, uint64_t address, bool is_write, struct cinthread_place *place, uint32_t word) {
    uint32_t number = take_free(queue);
    if (number == 0) return false;
    struct record *record = record_of(queue, number);
    record->address = address;
    record->thread = queue->names_threads ? (uint32_t)syscall(SYS_gettid) : 0;
    record->is_write = is_write;
    record->place = place;
    record->word = word;
    uint32_t newest = atomic_load(&queue->newest);
    do {
        atomic_store_explicit(&record->next, newest, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak(&queue->newest, &newest, number));
    // Otherwise whoever put the first one has told, or is about to.
    if (newest == 0) {
        uint64_t one = 1;
        syscall(SYS_write, queue->descriptor, &one, sizeof(one));
    }
    return true;
}

bool cinthread_queue_serves(const struct cinthread_queue *queue) {
    return atomic_load_explicit(&queue->server, memory_order_relaxed) == pthread_self();
}

CINTHREAD_END_PLAIN

struct cinthread_queue *cinthread_queue_make(uint32_t capacity, bool names_threads) {
    size_t size = sizeof(struct cinthread_queue) + capacity * sizeof(struct record);
    struct cinthread_queue *queue = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!queue) return NULL;
    *queue = (struct cinthread_queue){.names_threads = names_threads, .users = 1, .capacity = capacity};
    queue->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->descriptor < 0) {
        int error = errno;
        free(queue);
        errno = error;
        return NULL;
    }
    // Written now, so that the memory is there when a handler needs it.
    for (uint32_t number = 1; number <= capacity; number++) {
        *record_of(queue, number) = (struct record){.next = 0};
        give_back(queue, number);
    }
    return queue;
}

int cinthread_queue_descriptor(const struct cinthread_queue *queue) { return queue->descriptor; }

void cinthread_queue_is_served_here(struct cinthread_queue *queue) { atomic_store(&queue->server, pthread_self()); }

void cinthread_queue_acknowledge(struct cinthread_queue *queue) {
    uint64_t count;
    // Nothing to read: a spurious turn.
    ssize_t got = read(queue->descriptor, &count, sizeof(count));
    (void)got;
}

static bool take_any(struct cinthread_queue *queue, struct cinthread_fault *fault, bool *is_stale) {
    if (queue->oldest == 0) {
        // All there is, newest first: turned round.
        uint32_t number = atomic_exchange(&queue->newest, 0);
        while (number != 0) {
            struct record *record = record_of(queue, number);
            uint32_t next = atomic_load_explicit(&record->next, memory_order_relaxed);
            atomic_store_explicit(&record->next, queue->oldest, memory_order_relaxed);
            queue->oldest = number;
            number = next;
        }
        if (queue->oldest == 0) return false;
    }
    uint32_t number = queue->oldest;
    struct record *record = record_of(queue, number);
    queue->oldest = atomic_load_explicit(&record->next, memory_order_relaxed);
    *fault = (struct cinthread_fault){record->address, record->thread, record->is_write};
    *is_stale = atomic_load(&record->place->word) != record->word;
    give_back(queue, number);
    return true;
}

bool cinthread_queue_take(struct cinthread_queue *queue, struct cinthread_fault *fault) {
    bool is_stale;
    do {
        if (!take_any(queue, fault, &is_stale)) return false;
        // Its thread was woken since, say by the answer to another's fault: it has found the page, or will ask again.
    } while (is_stale);
    return true;
}

void cinthread_queue_has_room(struct cinthread_queue *queue) {
    (void)queue;
    cinthread_wake_place(&cinthread_room);
}

void cinthread_queue_retain(struct cinthread_queue *queue) { atomic_fetch_add(&queue->users, 1); }

void cinthread_queue_release(struct cinthread_queue *queue) {
    if (atomic_fetch_sub(&queue->users, 1) > 1) return;
    close(queue->descriptor);
    free(queue);
}
