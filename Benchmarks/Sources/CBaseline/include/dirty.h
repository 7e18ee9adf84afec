// Memory of which is noted, in plain C, which pages are written; and the thread's side of it, the writing.

#ifndef CBASELINE_DIRTY_H
#define CBASELINE_DIRTY_H

#include "counters.h"

#include <stddef.h>
#include <stdint.h>

typedef struct bench_dirty bench_dirty;

enum {
    BENCH_DIRTY_NONE,     ///< ordinary memory: nothing is noted
    BENCH_DIRTY_MESSAGES, ///< write-protected; an epoll loop reads a message for each first write and lets it through
    BENCH_DIRTY_ASYNC,    ///< write-protected; the kernel lets writes through, PAGEMAP_SCAN finds them (Linux 6.7)
    BENCH_DIRTY_MPROTECT, ///< read-only; a handler of SIGSEGV notes the page and lets the write through; one at a time
};

typedef struct {
    uint32_t style;    ///< BENCH_DIRTY_…
    uintptr_t source;  ///< what the memory holds at first
    size_t byte_count; ///< a multiple of the page size
    int32_t cpu;       ///< to pin the thread of BENCH_DIRTY_MESSAGES to, or -1
} bench_dirty_plan;

/// Maps and fills the memory and begins to note. NULL with `*error` set when that fails.
bench_dirty *bench_dirty_start(const bench_dirty_plan *plan, int *error);

/// The address of the memory.
uintptr_t bench_dirty_base(const bench_dirty *dirty);

/// Sets a bit in `bitmap`, which has one for each page and is all zero, for each page that was written since the last
/// time; begins anew. Nobody may write meanwhile. Returns 0 or an errno.
int bench_dirty_collect(bench_dirty *dirty, uint64_t *bitmap);

/// Ends the noting, unmaps the memory and says what was done.
void bench_dirty_stop(bench_dirty *dirty, bench_counters *counters);

/// Writes `value` to one word of each of the pages, in their order, on a thread of its own. Returns nanoseconds from
/// before the first write to after the last, or 0 with `*error` set. It is another word in each page.
uint64_t bench_write_pages(
    uintptr_t base, size_t page_size, const uint32_t *pages, size_t count, uint64_t value, int32_t cpu, int *error);

/// The same writes, here and now: for what the memory must hold afterwards.
void bench_write_pages_here(uintptr_t base, size_t page_size, const uint32_t *pages, size_t count, uint64_t value);

#endif
