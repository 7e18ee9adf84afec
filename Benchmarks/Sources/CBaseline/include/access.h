// Threads that read and write pages which may have to be brought in, and go again: every access is checked.

#ifndef CBASELINE_ACCESS_H
#define CBASELINE_ACCESS_H

#include <stddef.h>
#include <stdint.h>

enum {
    BENCH_ACCESS_READ,
    BENCH_ACCESS_WRITE,  ///< writes a word first, then reads
    BENCH_ACCESS_CHANGE, ///< reads a word, and writes it with one added
};

typedef struct {
    uintptr_t base;      ///< first page
    uintptr_t expected;  ///< what the pages must hold, byte by byte; what is written there is written here as well
    size_t pages;        ///< every page is accessed once, by one of the threads
    size_t page_size;    ///< bytes
    uint32_t threads;    ///< each gets an equal share of the order
    uint32_t access;     ///< BENCH_ACCESS_…
    uint32_t shuffled;   ///< 0 for ascending order
    uint64_t seed;       ///< of the order, and of what is written
    int32_t cpu;         ///< to pin the threads to, or -1
} bench_access_plan;

typedef struct {
    uint64_t elapsed;    ///< nanoseconds from the first access begun to the last one ended
    uint64_t mismatches; ///< pages in which a checked word was not what it should be
} bench_access_outcome;

/// Starts the threads, lets them go and waits for them. `latencies` gets the nanoseconds of each access, `pages` numbers.
/// Returns 0 or an errno; ETIMEDOUT when a thread has not come back after `seconds`: then the process has to end.
int bench_access_run(
    const bench_access_plan *plan, uint32_t seconds, uint64_t *latencies, bench_access_outcome *outcome);

#endif
