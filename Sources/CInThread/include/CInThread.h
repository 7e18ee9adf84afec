// Page faults resolved by the threads that take them, in a handler of SIGBUS.
//
// With UFFD_FEATURE_SIGBUS a missing page raises SIGBUS in the thread that touches it. The handler installed here
// looks the address up, installs the page itself where the contents are in memory, and otherwise hands the fault
// over to a reactor and sleeps until it is woken.
//
// What a handler runs makes system calls and atomic operations, and nothing else: no allocation, no locks, no
// thread-local storage but errno. All other functions may be called on any thread that is not in a signal
// handler; they take a mutex and may allocate.

#ifndef CINTHREAD_H
#define CINTHREAD_H

#include <stdbool.h>
#include <stdint.h>

_Pragma("clang assume_nonnull begin")

// A queue of faults that threads could not resolve themselves, of fixed size.
struct cinthread_queue;
// Memory whose faults end here. One of a fixed number in the process.
struct cinthread_region;

enum { cinthread_region_limit = 4096 };

// What threads may do themselves.
enum {
    // Map the page of the file that is there already (UFFDIO_CONTINUE).
    cinthread_maps_existing = 1,
    // Copy from the region's source (UFFDIO_COPY).
    cinthread_copies = 2,
    // Install zero pages behind the end of the source (UFFDIO_ZEROPAGE).
    cinthread_zeroes = 4,
};

struct cinthread_plan {
    uint32_t may;               // the above, or-ed
    uint32_t pages_per_fault;   // at least 1
    uint64_t source;            // where the byte lies that the region begins with
    uint64_t source_length;     // bytes from there on
};

struct cinthread_fault {
    uint64_t address;
    uint32_t thread;            // 0 when the queue does not name threads
    bool is_write;              // false where the processor's report is not understood
};

struct cinthread_run {
    uint64_t first;
    uint64_t count;             // 0: there is none
};

struct cinthread_counts {
    uint64_t resolutions;       // faults that their threads resolved
    uint64_t pages;             // pages they installed
    uint64_t present;           // those of them that nobody else has taken note of
};

// Installs the handler, once; everything that is no business of a region goes to the one that was there before.
// 0 or an errno.
int cinthread_prepare(void);

// MARK: Queues

// NULL with errno set where there is no memory or no descriptor.
struct cinthread_queue *_Nullable cinthread_queue_make(uint32_t capacity, bool names_threads);
// Readable when there are faults.
int cinthread_queue_descriptor(const struct cinthread_queue *queue);
// The calling thread is the one that serves the queue: it must never sleep for it.
void cinthread_queue_is_served_here(struct cinthread_queue *queue);
// Makes the descriptor unreadable until the next fault; call it before taking.
void cinthread_queue_acknowledge(struct cinthread_queue *queue);
// Takes the oldest fault whose thread still sleeps for it; one thread at a time. False when there is none.
bool cinthread_queue_take(struct cinthread_queue *queue, struct cinthread_fault *fault);
// Faults have been taken: lets threads go that found the queue full.
void cinthread_queue_has_room(struct cinthread_queue *queue);
// Gives the queue up; it is freed when no region refers to it any more.
void cinthread_queue_release(struct cinthread_queue *queue);

// MARK: Regions

// Begins to catch the faults of a range, which go to `queue` as long as nothing else is allowed. The queue and the
// descriptor must live until the region is released. NULL with errno set: ENOSPC where the process has as many
// regions as it can have, EEXIST where the range overlaps another, ENOMEM.
struct cinthread_region *_Nullable cinthread_add(
    struct cinthread_queue *queue, int descriptor, uint64_t start, uint64_t length, uint64_t page_size);
// Lets threads resolve faults themselves from now on; once.
void cinthread_allow(struct cinthread_region *region, const struct cinthread_plan *plan);
// Stops that: from here on threads sleep until the region is removed. Waits for those in the middle of it, but not
// for long; false when one was not done.
bool cinthread_close(struct cinthread_region *region);
// Ends the catching, and wakes all who sleep for a page of the region. `release` is called with `context` as soon as
// no thread uses the region: now, or in a later call of one of these functions.
void cinthread_remove(
    struct cinthread_region *region, void (*release)(void *_Nullable context), void *_Nullable context);

// The next run of pages at or after `page` that threads have installed themselves.
struct cinthread_run cinthread_next_installed(const struct cinthread_region *region, uint64_t page);
// Somebody else keeps account of these pages from now on.
void cinthread_forget_installed(struct cinthread_region *region, uint64_t page, uint64_t count);
// Nobody will ever supply these pages: touching one is no business of the region's any more. `sealed` says that other
// memory is in their place, instead of poison.
void cinthread_withhold(struct cinthread_region *region, uint64_t page, uint64_t count, bool sealed);
struct cinthread_counts cinthread_count(const struct cinthread_region *region);

// MARK: Sleepers

// Lets all threads go that sleep for a page of this range; each tries its access again. Others may wake, too.
void cinthread_wake(uint64_t start, uint64_t length);
// Whether this is the address of a futex that threads sleep on for a page.
bool cinthread_is_futex(uint64_t address);

_Pragma("clang assume_nonnull end")

#endif
