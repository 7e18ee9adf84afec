#define _GNU_SOURCE
#include "counters.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

void bench_work(uint64_t rounds) {
    uint64_t x = rounds;
    for (uint64_t i = 0; i < rounds; i++) {
        x = x * 0xbf58476d1ce4e5b9u + i;
        __asm__ volatile("" : "+r"(x));
    }
}

static uint64_t cpu_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t bench_work_rounds(uint64_t nanoseconds) {
    enum { ROUNDS = 200000, ATTEMPTS = 25 };
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < ATTEMPTS; i++) {
        uint64_t before = cpu_now();
        bench_work(ROUNDS);
        uint64_t time = cpu_now() - before;
        if (time < best) best = time;
    }
    return ROUNDS * nanoseconds / (best > 0 ? best : 1);
}

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
