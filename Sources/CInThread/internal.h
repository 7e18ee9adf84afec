// What the files of this target share. Not for anybody else.

#ifndef CINTHREAD_INTERNAL_H
#define CINTHREAD_INTERNAL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CInThread.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>
#include <ucontext.h>

// A signal handler can interrupt a sanitizer's own code: what it runs is not instrumented.
#if defined(__clang__)
#define CINTHREAD_BEGIN_PLAIN \
    _Pragma("clang attribute push(__attribute__((disable_sanitizer_instrumentation)), apply_to = function)")
#define CINTHREAD_END_PLAIN _Pragma("clang attribute pop")
#else
#define CINTHREAD_BEGIN_PLAIN
#define CINTHREAD_END_PLAIN
#endif

// MARK: Regions

// A region's life. What a thread finds tells what it may do; see regions.c.
enum cinthread_state { cinthread_free, cinthread_live, cinthread_closing, cinthread_over };

// Threads count themselves, and what they do, in one of these each, so that they do not meet in one cache line.
struct cinthread_shard {
    _Alignas(64) _Atomic uint64_t users;
    _Atomic uint64_t resolutions;
    _Atomic uint64_t pages;
    _Atomic uint64_t installed;
};

enum { cinthread_shard_count = 8 };

struct cinthread_region {
    _Atomic uint32_t state;
    _Atomic uint32_t may;
    // What follows changes only while nobody uses the region.
    uint32_t page_shift;
    uint32_t pages_per_fault;
    uint64_t start, end;
    uint64_t source, source_length;
    int descriptor;
    struct cinthread_queue *queue;
    _Atomic uint64_t *installed;    // a bit for each page
    _Atomic uint64_t *touched;      // a bit for each 64 words of those, where there may be any
    _Atomic uint64_t *withheld;     // a bit for each page
    _Atomic bool has_seals;
    _Atomic uint64_t forgotten;
    // Under the mutex.
    void (*release)(void *);
    void *context;
    bool is_released;
    struct cinthread_region *next;
    struct cinthread_shard shards[cinthread_shard_count];
};

// The region that holds an address, or NULL. For signal handlers.
struct cinthread_region *cinthread_find(uint64_t address);
// Changes to what is found, one at a time.
void cinthread_insert(struct cinthread_region *region);
void cinthread_delete(struct cinthread_region *region);
bool cinthread_overlaps(uint64_t start, uint64_t end);
void cinthread_empty_tables(void);
// Whether this is the process that the regions belong to, and no child of it. For signal handlers.
bool cinthread_is_alive(void);

// MARK: Handling

enum cinthread_answer {
    cinthread_installed,  // the access can be tried again
    cinthread_exists,     // something is there already
    cinthread_absent,     // there is nothing to map
    cinthread_refused,    // somebody else has to see to it
};

// Installs the page, and those behind it as far as is wanted, from what is in memory.
enum cinthread_answer cinthread_install_pages(
    struct cinthread_region *region, struct cinthread_shard *shard, uint64_t page, bool is_write);
// Whether the page can be read: 0, or an errno. EFAULT where it is missing, EHWPOISON where it is poisoned.
int cinthread_probe(uint64_t address);

CINTHREAD_BEGIN_PLAIN

static inline bool cinthread_is_set(_Atomic uint64_t *bits, uint64_t page) {
    return atomic_load_explicit(&bits[page / 64], memory_order_relaxed) >> page % 64 & 1;
}

CINTHREAD_END_PLAIN

void cinthread_handle(int number, siginfo_t *info, void *context);
// Does with a signal what would have been done without us.
void cinthread_pass_on(int number, siginfo_t *info, ucontext_t *context);
int cinthread_install(void (*handler)(int, siginfo_t *, void *));

// Sets the calling thread's signal mask, the kernel's 64 bits of it.
void cinthread_set_mask(const sigset_t *mask);

// MARK: Sleeping. A place is taken, the word noted, the condition checked, and only then slept.

struct cinthread_place {
    _Atomic uint32_t word;
    _Atomic uint32_t sleepers;
};

// Where threads sleep for a page, and where for room in a queue.
struct cinthread_place *cinthread_place_of(uint64_t page_address);
extern struct cinthread_place cinthread_room;

uint32_t cinthread_take_place(struct cinthread_place *place);
void cinthread_leave_place(struct cinthread_place *place);
// Sleeps, with the signals of `context` let through, until the place is woken; leaves it.
void cinthread_sleep(struct cinthread_place *place, uint32_t word, const ucontext_t *context);
void cinthread_wake_place(struct cinthread_place *place);

// MARK: Queues

// False when there is no room. For signal handlers, with all signals blocked.
bool cinthread_queue_put(
    struct cinthread_queue *queue, uint64_t address, bool is_write, struct cinthread_place *place, uint32_t word);
bool cinthread_queue_serves(const struct cinthread_queue *queue);
void cinthread_queue_retain(struct cinthread_queue *queue);

#endif
