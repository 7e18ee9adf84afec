// One epoll loop in plain C with everything in it: page faults, a TCP echo server on loopback, a repeating timer.

#ifndef CBASELINE_MIXED_H
#define CBASELINE_MIXED_H

#include "counters.h"

#include <stddef.h>
#include <stdint.h>

typedef struct bench_mixed bench_mixed;

typedef struct {
    uintptr_t source;      ///< page contents
    size_t byte_count;     ///< of the region; at least one page
    int32_t cpu;           ///< to pin the loop to, or -1
    uint64_t interval;     ///< of the timer, nanoseconds
    size_t lateness_limit; ///< how many ticks are recorded
} bench_mixed_plan;

/// Starts the loop on a thread of its own. NULL with `*error` set when that fails.
bench_mixed *bench_mixed_start(const bench_mixed_plan *plan, int *error);

uintptr_t bench_mixed_base(const bench_mixed *mixed);

/// The port of the echo server on 127.0.0.1.
uint16_t bench_mixed_port(const bench_mixed *mixed);

/// Ends the loop. After this the lateness of the timer can be read.
void bench_mixed_stop(bench_mixed *mixed, bench_counters *counters);

/// How many ticks were recorded, and how late each was: nanoseconds after it was due.
size_t bench_mixed_tick_count(const bench_mixed *mixed);
void bench_mixed_lateness(const bench_mixed *mixed, uint64_t *into);

void bench_mixed_destroy(bench_mixed *mixed);

#endif
