#define _GNU_SOURCE
#include "counters.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

int bench_pin(int32_t cpu) {
    if (cpu < 0) return 0;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

int32_t bench_allowed_cpu(int32_t index) {
    cpu_set_t set;
    // Of the main thread, which is never pinned: those that a pinned thread has started are, too.
    if (sched_getaffinity(getpid(), sizeof set, &set) != 0) return -1;
    for (int32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &set) && index-- == 0) return cpu;
    }
    return -1;
}

uint64_t bench_context_switches(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
}
