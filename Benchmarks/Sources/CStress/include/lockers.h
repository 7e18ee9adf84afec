// Threads that take the mutex of one page after the other and count in it, until they are told to stop.

#ifndef CSTRESS_LOCKERS_H
#define CSTRESS_LOCKERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct cstress_lockers cstress_lockers;

enum {
    CSTRESS_ORDER_RANDOM,     ///< each thread has an order of its own
    CSTRESS_ORDER_SEQUENTIAL, ///< ascending, the threads evenly apart
    CSTRESS_ORDER_RACING,     ///< ascending, all from the same page: they fault together
};

typedef struct {
    uintptr_t area;    ///< pages as `cstress_prepare` made them
    uintptr_t shadow;  ///< what their counters must be, a word each; changed under the page's mutex
    size_t pages;
    size_t page_size;
    uint32_t threads;
    uint32_t order;    ///< CSTRESS_ORDER_…
    uint64_t seed;
} cstress_plan;

/// Starts the threads. NULL with `*error` set when that fails.
cstress_lockers *cstress_lockers_start(const cstress_plan *plan, int *error);

/// How many mutexes a thread has taken so far.
uint64_t cstress_lockers_count(const cstress_lockers *lockers, uint32_t thread);

/// Whether a thread has found corruption, and ended.
int cstress_lockers_have_found(const cstress_lockers *lockers);

/// Tells the threads to stop after the page they are at.
void cstress_lockers_stop(cstress_lockers *lockers);

/// Waits for the threads. After this the results can be read.
void cstress_lockers_join(cstress_lockers *lockers);

/// The page that a thread found corrupt and stopped at, or -1; what it saw there and what it should have seen.
int64_t cstress_lockers_corrupt(const cstress_lockers *lockers, uint32_t thread, uint64_t *seen, uint64_t *expected);

void cstress_lockers_destroy(cstress_lockers *lockers);

#endif
