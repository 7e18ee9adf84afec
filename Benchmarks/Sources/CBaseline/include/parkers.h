// Threads that touch a page each and do nothing else: they stay parked until their pages are supplied.

#ifndef CBASELINE_PARKERS_H
#define CBASELINE_PARKERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_parkers bench_parkers;

/// Starts `count` threads that touch the pages from `base` on. NULL with errno set when that fails; then the process has to
/// go, since threads that are parked cannot be ended.
bench_parkers *bench_parkers_start(uintptr_t base, size_t page_size, uint32_t count, int32_t cpu);

/// Waits until all have gone on, and frees everything.
void bench_parkers_join(bench_parkers *parkers);

/// Lets the process have as many descriptors as it may. Returns how many that is.
uint64_t bench_raise_descriptor_limit(void);

#endif
