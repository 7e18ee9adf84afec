// The ioctls one by one: memory that one of them is to change, the loop over it in plain C, and proof that it did.

#ifndef CBASELINE_OPERATIONS_H
#define CBASELINE_OPERATIONS_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_arena bench_arena;

enum {
    BENCH_OPERATION_COPY,
    BENCH_OPERATION_ZERO,
    BENCH_OPERATION_MOVE,
    BENCH_OPERATION_CONTINUE, ///< of shared memory; the others of private anonymous memory
    BENCH_OPERATION_PROTECT,
    BENCH_OPERATION_UNPROTECT,
    BENCH_OPERATION_POISON,
    BENCH_OPERATION_WAKE, ///< where nobody waits
};

/// Maps `pages` pages and registers them with `descriptor`, which stays the caller's and must outlive the arena. NULL
/// with `*error` set when that fails.
bench_arena *bench_arena_make(int descriptor, uint32_t operation, size_t pages, int *error);

/// The pages to change, and those that are copied or moved from there.
uintptr_t bench_arena_destination(const bench_arena *arena);
uintptr_t bench_arena_source(const bench_arena *arena);

/// Puts the pages back into the state before the operation. Returns 0 or an errno.
int bench_arena_prepare(bench_arena *arena);

/// The operation on all pages, `pages_per_call` of them a call, which must divide the number of pages. Returns 0, or
/// the errno of the first call that was not done whole.
int bench_arena_run(bench_arena *arena, size_t pages_per_call);

/// The number of the first page on which the operation was not done, or that holds other bytes than it should. The
/// number of pages where all is well.
size_t bench_arena_verify(bench_arena *arena);

void bench_arena_destroy(bench_arena *arena);

#endif
