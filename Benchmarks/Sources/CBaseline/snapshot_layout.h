// What the writers of a snapshot write, for snapshot_writers.c and snapshot_image.c.

#ifndef CBASELINE_SNAPSHOT_LAYOUT_H
#define CBASELINE_SNAPSHOT_LAYOUT_H

#include "pages.h"
#include "snapshot.h"

/// Every so many operations the shared words are written.
enum { SHARED_PAUSE = 16, PAGE_A = 0, PAGE_B = 1 };

static inline size_t words_per_page(const bench_writers_plan *plan) { return plan->page_size / sizeof(uint64_t); }

/// The pages of a thread: every `threads`-th of those that are not shared.
static inline size_t own_pages(const bench_writers_plan *plan, uint32_t thread) {
    size_t all = plan->pages - BENCH_SNAPSHOT_SHARED_PAGES;
    return all / plan->threads + (thread < all % plan->threads);
}

static inline size_t own_page(const bench_writers_plan *plan, uint32_t thread, size_t index) {
    return BENCH_SNAPSHOT_SHARED_PAGES + thread + index * plan->threads;
}

/// Which of its pages a thread writes to in an operation.
static inline size_t target(const bench_writers_plan *plan, uint32_t thread, uint64_t operation) {
    return bench_mix(plan->seed + ((uint64_t)thread << 48) + operation) % own_pages(plan, thread);
}

/// A word that is never written.
static inline uint64_t constant(const bench_writers_plan *plan, size_t page, size_t word) {
    return bench_mix((plan->seed << 32) + page * words_per_page(plan) + word);
}

#endif
