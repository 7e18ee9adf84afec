// Clocks, pinning and process-wide counters.

#ifndef CBASELINE_COUNTERS_H
#define CBASELINE_COUNTERS_H

#include <features.h>
#include <stdint.h>
#include <time.h>

/// What a serving loop did. The C servers count for themselves.
typedef struct {
    uint64_t messages; ///< messages taken from the userfaultfd
    uint64_t reads;    ///< read(2) calls on the userfaultfd, those that found nothing included
    uint64_t waits;    ///< epoll_wait(2) calls
    uint64_t copies;   ///< UFFDIO_COPY calls
    uint64_t wakes;    ///< UFFDIO_WAKE calls
    uint64_t bytes;    ///< bytes installed
    uint64_t eexist;   ///< copies that found the page present
    uint64_t eagain;   ///< copies that were told to try again, or were partial
    uint64_t failures; ///< anything else that went wrong
} bench_counters;

/// CLOCK_MONOTONIC in nanoseconds.
static inline uint64_t bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/// Computes for a while: each round takes the same time.
void bench_work(uint64_t rounds);

/// How many rounds of bench_work take so many nanoseconds of a CPU that does nothing else.
uint64_t bench_work_rounds(uint64_t nanoseconds);

/// Pins the calling thread to one CPU. A negative number leaves it alone. Returns 0 or an errno.
int bench_pin(int32_t cpu);

/// The `index`-th CPU this process may run on, or -1.
int32_t bench_allowed_cpu(int32_t index);

/// Context switches of all threads of this process so far, voluntary and not.
uint64_t bench_context_switches(void);

/// Heap allocations of all threads of this process so far: malloc, calloc, realloc, memalign and their like.
uint64_t bench_allocations(void);

/// Whether `bench_allocations` counts: glibc, and no sanitizer that brings its own allocator.
int bench_allocations_counted(void);

#endif
