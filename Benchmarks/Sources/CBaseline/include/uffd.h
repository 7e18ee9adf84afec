// Opening and using a userfaultfd from plain C.

#ifndef CBASELINE_UFFD_H
#define CBASELINE_UFFD_H

#include "counters.h"

#include <stddef.h>
#include <stdint.h>

/// How a userfaultfd was opened.
enum { BENCH_ACCESS_NONE, BENCH_ACCESS_DEVICE, BENCH_ACCESS_SYSTEM_CALL, BENCH_ACCESS_USER_MODE_ONLY };

/// Opens and enables a descriptor: device node, then system call, then user-mode-only. Returns it, or -errno.
int bench_uffd_open(int nonblocking, int *access);
int bench_uffd_open_with(int nonblocking, uint64_t features, int *access);

/// Registers for missing faults, or for others. Returns 0 or an errno.
int bench_uffd_register(int descriptor, uintptr_t start, size_t byte_count);
int bench_uffd_register_for(int descriptor, uintptr_t start, size_t byte_count, uint64_t modes);

/// Maps private anonymous memory without huge pages. Returns its address, or 0.
uintptr_t bench_memory_map(size_t byte_count);

/// Maps private anonymous memory without huge pages and registers it. Returns its address, or 0 with errno set.
uintptr_t bench_uffd_map(int descriptor, size_t byte_count);

/// Installs `byte_count` bytes and wakes whoever waits, unless told not to. Repeats partial copies, wakes after
/// EEXIST. Returns 0 or an errno.
int bench_uffd_copy(
    int descriptor, uintptr_t destination, uintptr_t source, size_t byte_count, int dont_wake, bench_counters *counters);

/// Wakes every thread that waits in the range.
void bench_uffd_wake(int descriptor, uintptr_t start, size_t byte_count, bench_counters *counters);

#endif
