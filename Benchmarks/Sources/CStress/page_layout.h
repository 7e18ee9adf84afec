// Where things lie in a page. Private to this module.

#ifndef CSTRESS_PAGE_LAYOUT_H
#define CSTRESS_PAGE_LAYOUT_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { COUNTER_WORD = 8, FIRST_CONSTANT_WORD = 16 };
_Static_assert(sizeof(pthread_mutex_t) <= COUNTER_WORD * sizeof(uint64_t), "the mutex lies before the counter");

static inline pthread_mutex_t *mutex_of(uintptr_t page) { return (pthread_mutex_t *)page; }
static inline volatile uint64_t *words_of(uintptr_t page) { return (volatile uint64_t *)page; }

/// A word that never changes: well mixed, so that a page at the wrong place is noticed in any of them.
static inline uint64_t constant(size_t page, size_t word) {
    uint64_t x = ((uint64_t)page << 20 | word) + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
