// Faulting threads: they touch given pages in a given order, time every touch and check what they see.

#ifndef CBASELINE_TOUCHERS_H
#define CBASELINE_TOUCHERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_touchers bench_touchers;

enum {
    BENCH_PATTERN_ASCENDING,
    BENCH_PATTERN_SHUFFLED,
    BENCH_PATTERN_INTERLEAVED, ///< of n threads the i-th touches pages i, i + n, i + 2n, …
    BENCH_PATTERN_CLUSTERED,   ///< runs of 1 to 16 pages, in any order
};

typedef struct {
    uintptr_t base;      ///< first page of the region
    uintptr_t addresses; ///< of an array that says where each page lies, those for warming up included; 0: from `base` on
    uintptr_t expected;  ///< what the region must hold, byte by byte
    size_t pages;        ///< every page is touched once, by one of the threads
    size_t warm_up;      ///< pages behind those that each thread touches before it stands at the start
    size_t page_size;    ///< bytes
    uint32_t threads;    ///< each gets an equal share of the order
    uint32_t pattern;    ///< BENCH_PATTERN_…
    uint64_t seed;       ///< of the shuffled order
    int32_t cpu;         ///< to pin the threads to, or -1
} bench_touch_plan;

/// Makes the threads and waits until all stand at the start. Everything that is written later is allocated and
/// touched here. NULL with errno set when that fails.
bench_touchers *bench_touchers_make(const bench_touch_plan *plan);

/// Lets the threads go.
void bench_touchers_release(bench_touchers *touchers);

/// Waits until every page has been touched. Returns 0, or ETIMEDOUT after `seconds`: a thread is still parked.
int bench_touchers_wait(bench_touchers *touchers, uint32_t seconds);

/// Nanoseconds from the first touch begun to the last one ended.
uint64_t bench_touchers_elapsed(const bench_touchers *touchers);

/// Pages in which a checked word was not what it should be.
uint64_t bench_touchers_mismatches(const bench_touchers *touchers);

/// Copies the nanoseconds each touch took, `pages` numbers.
void bench_touchers_latencies(const bench_touchers *touchers, uint64_t *into);

/// Copies when each touch ended, in nanoseconds after the first began, `pages` numbers in no particular order.
void bench_touchers_completions(const bench_touchers *touchers, uint64_t *into);

/// Joins the threads and frees everything.
void bench_touchers_destroy(bench_touchers *touchers);

#endif
