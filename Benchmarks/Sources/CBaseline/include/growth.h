// A loop in plain C that serves many regions, with many descriptors, while threads stay parked.

#ifndef CBASELINE_GROWTH_H
#define CBASELINE_GROWTH_H

#include "counters.h"

#include <stddef.h>
#include <stdint.h>

typedef struct bench_growth bench_growth;

typedef struct {
    uint32_t regions;        ///< each of `region_bytes`
    uint32_t descriptors;    ///< regions are spread over them
    size_t region_bytes;     ///< of address space
    size_t pages_per_region; ///< that have contents, one region after the other
    size_t window_pages;     ///< contents lie in windows of so many pages …
    size_t pitch;            ///< … which begin so many bytes apart
    uint32_t parked;         ///< pages of one more region, whose faults are answered at the end only
    uintptr_t source;        ///< contents, page by page
    int32_t cpu;             ///< to pin the serving thread to, or -1
} bench_growth_plan;

/// Maps and registers everything and starts a thread that serves it. NULL with `*error` set when that fails.
bench_growth *bench_growth_start(const bench_growth_plan *plan, int *error);

/// The address of a region.
uintptr_t bench_growth_base(const bench_growth *growth, uint32_t region);

/// The address of the region whose faults are not answered.
uintptr_t bench_growth_parking(const bench_growth *growth);

/// How many of its faults have come.
uint32_t bench_growth_parked(const bench_growth *growth);

/// Answers the faults that were left.
void bench_growth_release(bench_growth *growth);

/// Ends the serving, unmaps everything and says what was done.
void bench_growth_stop(bench_growth *growth, bench_counters *counters);

#endif
