// Faults that the faulting thread resolves itself, in a handler of SIGBUS. For server.c alone.

#ifndef CBASELINE_SIGBUS_H
#define CBASELINE_SIGBUS_H

#include "counters.h"

#include <stddef.h>
#include <stdint.h>

/// Has missing pages of a region, registered with a descriptor that has UFFD_FEATURE_SIGBUS, copied from `source` by the
/// threads that touch them. One region at a time. Returns 0 or an errno.
int bench_sigbus_begin(
    int descriptor, uintptr_t base, uintptr_t source, size_t byte_count, size_t page_size, bench_counters *counters);

/// Puts the handler back that was there before.
void bench_sigbus_end(void);

#endif
