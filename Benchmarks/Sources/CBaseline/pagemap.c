#define _GNU_SOURCE
#include "pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { ENTRIES = 512 };

size_t bench_pagemap_first_other(uintptr_t start, size_t pages, uint64_t mask, uint64_t wanted) {
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE), done = 0;
    uint64_t entries[ENTRIES];
    int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (map < 0) return SIZE_MAX;
    while (done < pages) {
        size_t count = pages - done < ENTRIES ? pages - done : ENTRIES;
        ssize_t bytes = pread(
            map, entries, count * sizeof *entries, (off_t)((start / page_size + done) * sizeof *entries));
        if (bytes < (ssize_t)sizeof *entries) {
            if (bytes >= 0) errno = ENODATA;
            done = SIZE_MAX;
            break;
        }
        size_t known = (size_t)bytes / sizeof *entries, i = 0;
        while (i < known && (entries[i] & mask) == wanted) i++;
        done += i;
        if (i < known) break;
    }
    int error = errno;
    close(map);
    errno = error;
    return done;
}
