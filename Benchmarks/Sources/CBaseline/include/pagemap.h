// What /proc/self/pagemap says of pages, without touching them.

#ifndef CBASELINE_PAGEMAP_H
#define CBASELINE_PAGEMAP_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_PAGE_PRESENT ((uint64_t)1 << 63)
#define BENCH_PAGE_PROTECTED ((uint64_t)1 << 57) ///< write-protected by userfaultfd

/// The number of the first page, of `pages` from `start` on, that has not exactly those bits of `mask` that `wanted`
/// has. `pages` where all are as wanted; SIZE_MAX with errno set when it cannot be found out.
size_t bench_pagemap_first_other(uintptr_t start, size_t pages, uint64_t mask, uint64_t wanted);

#endif
