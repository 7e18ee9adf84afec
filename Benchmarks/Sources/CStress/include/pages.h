// What a page holds: a mutex, a counter that is 1 at first, and words that never change.

#ifndef CSTRESS_PAGES_H
#define CSTRESS_PAGES_H

#include <stddef.h>
#include <stdint.h>

/// Maps ordinary memory, all zero. Returns its address, or 0.
uintptr_t cstress_map(size_t byte_count);
void cstress_unmap(uintptr_t address, size_t byte_count);

/// Writes `pages` pages, and their counters, 1, to the words at `shadow`.
void cstress_prepare(uintptr_t area, size_t pages, size_t page_size, uintptr_t shadow);

/// The number of the first page whose counter is not that of `shadow`, or whose other words have changed; `pages` where
/// there is none.
size_t cstress_verify(uintptr_t area, size_t pages, size_t page_size, uintptr_t shadow);

/// The counter of a page, and what it should be.
uint64_t cstress_counter(uintptr_t area, size_t page, size_t page_size);
uint64_t cstress_shadow(uintptr_t shadow, size_t page);

/// Copies bytes.
void cstress_copy(uintptr_t destination, uintptr_t source, size_t byte_count);

#endif
