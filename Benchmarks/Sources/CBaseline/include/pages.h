// Page contents: a source buffer in which every word of every page is different, files, and comparison.

#ifndef CBASELINE_PAGES_H
#define CBASELINE_PAGES_H

#include <stddef.h>
#include <stdint.h>

/// Maps a buffer of `byte_count` bytes and fills it from `seed`. Returns its address, or 0.
uintptr_t bench_source_make(size_t byte_count, uint64_t seed);

/// Maps the file read-only and reads it in. Returns the address or 0; `*byte_count` is the exact size of the file.
uintptr_t bench_file_map(const char *path, size_t *byte_count);

/// Maps the first `byte_count` bytes of the file, shared, for reading and writing. Returns the address or 0.
uintptr_t bench_file_share(const char *path, size_t byte_count);

/// Makes a file of `byte_count` bytes that are those at `address`. Returns 0 or an errno.
int bench_file_make(const char *path, uintptr_t address, size_t byte_count);

void bench_unmap(uintptr_t address, size_t byte_count);

/// The number of equal bytes at the start of both: `byte_count` when they do not differ.
size_t bench_equal_prefix(uintptr_t left, uintptr_t right, size_t byte_count);

/// One word of contents: well mixed, so that a page at the wrong place is noticed in any word.
static inline uint64_t bench_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
