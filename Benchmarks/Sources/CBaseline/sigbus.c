#define _GNU_SOURCE
#include "sigbus.h"
#include "uffd.h"

#include <errno.h>
#include <signal.h>

static struct {
    int descriptor;
    uintptr_t base, source;
    size_t byte_count, page_size;
    bench_counters *counters;
} region;
static struct sigaction before;

static void count(uint64_t *counter, uint64_t more) {
    if (more != 0) __atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
}

/// Runs in the thread that faults; UFFDIO_COPY is a system call like any other there.
static void resolve(int number, siginfo_t *information, void *context) {
    (void)context;
    int saved = errno;
    uintptr_t offset = ((uintptr_t)information->si_addr & ~(region.page_size - 1)) - region.base;
    bench_counters own = {.messages = 1};
    if (__builtin_expect(offset >= region.byte_count, 0)) {
        // Not ours: it happens again, for who was there before.
        sigaction(number, &before, NULL);
        return;
    }
    // Nobody waits in the kernel, hence nobody is to be woken.
    int error = bench_uffd_copy(
        region.descriptor, region.base + offset, region.source + offset, region.page_size, 1, &own);
    if (__builtin_expect(error != 0, 0)) {
        own.failures++;
        sigaction(number, &before, NULL);
    }
    count(&region.counters->messages, own.messages);
    count(&region.counters->copies, own.copies);
    count(&region.counters->wakes, own.wakes);
    count(&region.counters->bytes, own.bytes);
    count(&region.counters->eexist, own.eexist);
    count(&region.counters->eagain, own.eagain);
    count(&region.counters->failures, own.failures);
    errno = saved;
}

int bench_sigbus_begin(
    int descriptor, uintptr_t base, uintptr_t source, size_t byte_count, size_t page_size, bench_counters *counters
) {
    struct sigaction action = {.sa_sigaction = resolve, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    region.descriptor = descriptor;
    region.base = base;
    region.source = source;
    region.byte_count = byte_count;
    region.page_size = page_size;
    region.counters = counters;
    return sigaction(SIGBUS, &action, &before) == 0 ? 0 : errno;
}

void bench_sigbus_end(void) { sigaction(SIGBUS, &before, NULL); }
