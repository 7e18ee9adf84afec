#define _GNU_SOURCE
#include "operations.h"
#include "kernel.h"
#include "pagemap.h"
#include "pages.h"
#include "uffd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct bench_arena {
    int descriptor;
    uint32_t operation;
    size_t pages, page_size, byte_count;
    uintptr_t expected;    // what pages with contents must hold
    uintptr_t destination; // registered
    uintptr_t source;      // copied from: the expected bytes themselves; moved from: pages of their own
    uintptr_t alias;       // another mapping of the destination's shared memory
};

static uintptr_t map_shared(size_t byte_count, int file) {
    void *memory = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return memory == MAP_FAILED ? 0 : (uintptr_t)memory;
}

static int prepare_memory(bench_arena *arena) {
    arena->expected = bench_source_make(arena->byte_count, 0x0b5 + arena->operation);
    if (arena->expected == 0) return errno;
    if (arena->operation == BENCH_OPERATION_CONTINUE) {
        int file = memfd_create("operations", MFD_CLOEXEC);
        if (file < 0) return errno;
        if (ftruncate(file, (off_t)arena->byte_count) == 0) {
            arena->destination = map_shared(arena->byte_count, file);
            arena->alias = map_shared(arena->byte_count, file);
        }
        int error = errno;
        close(file);
        if (arena->destination == 0 || arena->alias == 0) return error;
        memcpy((void *)arena->alias, (const void *)arena->expected, arena->byte_count);
        return 0;
    }
    arena->destination = bench_memory_map(arena->byte_count);
    if (arena->destination == 0) return errno;
    arena->source = arena->expected;
    if (arena->operation == BENCH_OPERATION_MOVE) arena->source = bench_memory_map(arena->byte_count);
    return arena->source == 0 ? errno : 0;
}

static int prepare(bench_arena *arena) {
    int error = prepare_memory(arena);
    if (error != 0) return error;
    uint64_t modes = UFFDIO_REGISTER_MODE_MISSING;
    switch (arena->operation) {
    case BENCH_OPERATION_CONTINUE: modes = UFFDIO_REGISTER_MODE_MINOR; break;
    case BENCH_OPERATION_PROTECT:
    case BENCH_OPERATION_UNPROTECT:
        modes = UFFDIO_REGISTER_MODE_WP;
        memcpy((void *)arena->destination, (const void *)arena->expected, arena->byte_count);
        break;
    }
    return bench_uffd_register_for(arena->descriptor, arena->destination, arena->byte_count, modes);
}

bench_arena *bench_arena_make(int descriptor, uint32_t operation, size_t pages, int *error) {
    bench_arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    arena->descriptor = descriptor;
    arena->operation = operation;
    arena->pages = pages;
    arena->page_size = (size_t)sysconf(_SC_PAGESIZE);
    arena->byte_count = pages * arena->page_size;
    *error = prepare(arena);
    if (*error == 0) return arena;
    bench_arena_destroy(arena);
    return NULL;
}

uintptr_t bench_arena_destination(const bench_arena *arena) { return arena->destination; }
uintptr_t bench_arena_source(const bench_arena *arena) { return arena->source; }

static int protect(const bench_arena *arena, uintptr_t start, size_t bytes, uint64_t mode) {
    struct uffdio_writeprotect request = {.range = {.start = start, .len = bytes}, .mode = mode};
    return ioctl(arena->descriptor, UFFDIO_WRITEPROTECT, &request) == 0 ? 0 : errno;
}

int bench_arena_prepare(bench_arena *arena) {
    switch (arena->operation) {
    case BENCH_OPERATION_WAKE: return 0;
    case BENCH_OPERATION_PROTECT: return protect(arena, arena->destination, arena->byte_count, 0);
    case BENCH_OPERATION_UNPROTECT:
        return protect(arena, arena->destination, arena->byte_count, UFFDIO_WRITEPROTECT_MODE_WP);
    case BENCH_OPERATION_MOVE:
        memcpy((void *)arena->source, (const void *)arena->expected, arena->byte_count);
        break;
    }
    // Of shared memory this drops the mapping of the pages, and leaves the pages.
    return madvise((void *)arena->destination, arena->byte_count, MADV_DONTNEED) == 0 ? 0 : errno;
}

// The loops: one for each operation, as one would write it by hand.

static int run_copy(const bench_arena *arena, size_t bytes) {
    for (size_t at = 0; at < arena->byte_count; at += bytes) {
        struct uffdio_copy request = {.dst = arena->destination + at, .src = arena->source + at, .len = bytes};
        if (ioctl(arena->descriptor, UFFDIO_COPY, &request) != 0) return errno;
    }
    return 0;
}

static int run_zero(const bench_arena *arena, size_t bytes) {
    for (size_t at = 0; at < arena->byte_count; at += bytes) {
        struct uffdio_zeropage request = {.range = {.start = arena->destination + at, .len = bytes}};
        if (ioctl(arena->descriptor, UFFDIO_ZEROPAGE, &request) != 0) return errno;
    }
    return 0;
}

static int run_move(const bench_arena *arena, size_t bytes) {
    for (size_t at = 0; at < arena->byte_count; at += bytes) {
        struct uffdio_move request = {.dst = arena->destination + at, .src = arena->source + at, .len = bytes};
        if (ioctl(arena->descriptor, UFFDIO_MOVE, &request) != 0) return errno;
    }
    return 0;
}

static int run_continue(const bench_arena *arena, size_t bytes) {
    for (size_t at = 0; at < arena->byte_count; at += bytes) {
        struct uffdio_continue request = {.range = {.start = arena->destination + at, .len = bytes}};
        if (ioctl(arena->descriptor, UFFDIO_CONTINUE, &request) != 0) return errno;
    }
    return 0;
}

static int run_protect(const bench_arena *arena, size_t bytes, uint64_t mode) {
    for (size_t at = 0; at < arena->byte_count; at += bytes) {
        int error = protect(arena, arena->destination + at, bytes, mode);
        if (error != 0) return error;
    }
    return 0;
}

static int run_poison(const bench_arena *arena, size_t bytes) {
    for (size_t at = 0; at < arena->byte_count; at += bytes) {
        struct uffdio_poison request = {.range = {.start = arena->destination + at, .len = bytes}};
        if (ioctl(arena->descriptor, UFFDIO_POISON, &request) != 0) return errno;
    }
    return 0;
}

static int run_wake(const bench_arena *arena, size_t bytes) {
    for (size_t at = 0; at < arena->byte_count; at += bytes) {
        struct uffdio_range request = {.start = arena->destination + at, .len = bytes};
        if (ioctl(arena->descriptor, UFFDIO_WAKE, &request) != 0) return errno;
    }
    return 0;
}

int bench_arena_run(bench_arena *arena, size_t pages_per_call) {
    size_t bytes = pages_per_call * arena->page_size;
    switch (arena->operation) {
    case BENCH_OPERATION_COPY: return run_copy(arena, bytes);
    case BENCH_OPERATION_ZERO: return run_zero(arena, bytes);
    case BENCH_OPERATION_MOVE: return run_move(arena, bytes);
    case BENCH_OPERATION_CONTINUE: return run_continue(arena, bytes);
    case BENCH_OPERATION_PROTECT: return run_protect(arena, bytes, UFFDIO_WRITEPROTECT_MODE_WP);
    case BENCH_OPERATION_UNPROTECT: return run_protect(arena, bytes, 0);
    case BENCH_OPERATION_POISON: return run_poison(arena, bytes);
    case BENCH_OPERATION_WAKE: return run_wake(arena, bytes);
    }
    return EINVAL;
}

/// The first page, of those that are there, which holds other bytes.
static size_t first_difference(const bench_arena *arena) {
    size_t equal = bench_equal_prefix(arena->destination, arena->expected, arena->byte_count);
    return equal / arena->page_size;
}

static size_t first_not_zero(const bench_arena *arena) {
    const uint64_t *words = (const uint64_t *)arena->destination;
    size_t count = arena->byte_count / sizeof *words, i = 0;
    while (i < count && words[i] == 0) i++;
    return i * sizeof *words / arena->page_size;
}

/// A page that is not there and can be poisoned was not poisoned before.
static size_t first_not_poisoned(const bench_arena *arena) {
    for (size_t page = 0; page < arena->pages; page++) {
        struct uffdio_poison request = {
            .range = {.start = arena->destination + page * arena->page_size, .len = arena->page_size}};
        if (ioctl(arena->descriptor, UFFDIO_POISON, &request) == 0 || errno != EEXIST) return page;
    }
    return arena->pages;
}

size_t bench_arena_verify(bench_arena *arena) {
    uint64_t present = arena->operation == BENCH_OPERATION_POISON ? 0 : BENCH_PAGE_PRESENT;
    uint64_t protected = arena->operation == BENCH_OPERATION_PROTECT ? BENCH_PAGE_PROTECTED : 0;
    if (arena->operation == BENCH_OPERATION_WAKE) return arena->pages;
    // Before anything is touched: nobody would serve a fault here.
    size_t page = bench_pagemap_first_other(
        arena->destination, arena->pages, BENCH_PAGE_PRESENT | BENCH_PAGE_PROTECTED, present | protected);
    if (page < arena->pages || page == SIZE_MAX) return page == SIZE_MAX ? 0 : page;
    switch (arena->operation) {
    case BENCH_OPERATION_ZERO: return first_not_zero(arena);
    case BENCH_OPERATION_POISON: return first_not_poisoned(arena);
    case BENCH_OPERATION_MOVE:
        page = bench_pagemap_first_other(arena->source, arena->pages, BENCH_PAGE_PRESENT, 0);
        if (page < arena->pages || page == SIZE_MAX) return page == SIZE_MAX ? 0 : page;
        break;
    }
    return first_difference(arena);
}

void bench_arena_destroy(bench_arena *arena) {
    if (arena->source != 0 && arena->source != arena->expected) bench_unmap(arena->source, arena->byte_count);
    if (arena->destination != 0) bench_unmap(arena->destination, arena->byte_count);
    if (arena->alias != 0) bench_unmap(arena->alias, arena->byte_count);
    if (arena->expected != 0) bench_unmap(arena->expected, arena->byte_count);
    free(arena);
}
