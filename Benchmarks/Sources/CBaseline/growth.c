#define _GNU_SOURCE
#include "growth.h"
#include "uffd.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { EVENTS = 32 };

typedef struct {
    uintptr_t base;
    size_t first; // page of the contents
} region;

struct bench_growth {
    bench_growth_plan plan;
    int *descriptors;
    int poll, stop;
    size_t page_size;
    region *regions;    // in the order in which they were made
    region *by_address; // in the order of their addresses
    uintptr_t parking;
    _Atomic uint32_t parked;
    pthread_t thread;
    bench_counters counters;
};

static int descriptor_of(const bench_growth *growth, size_t region) {
    return growth->descriptors[region % growth->plan.descriptors];
}

static const region *region_at(const bench_growth *growth, uintptr_t address) {
    size_t low = 0, high = growth->plan.regions;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (growth->by_address[middle].base <= address) low = middle + 1;
        else high = middle;
    }
    return low > 0 ? &growth->by_address[low - 1] : NULL;
}

static void serve(bench_growth *growth, int descriptor) {
    struct uffd_msg message;
    growth->counters.reads++;
    if (read(descriptor, &message, sizeof message) != sizeof message) {
        if (errno != EAGAIN) growth->counters.failures++;
        return;
    }
    uintptr_t page = (uintptr_t)message.arg.pagefault.address & ~(growth->page_size - 1);
    if (page - growth->parking < growth->plan.parked * growth->page_size) {
        atomic_fetch_add(&growth->parked, 1);
        return;
    }
    growth->counters.messages++;
    const region *found = region_at(growth, page);
    if (found == NULL || page - found->base >= growth->plan.region_bytes) {
        growth->counters.failures++;
        return;
    }
    size_t offset = page - found->base;
    size_t number = offset / growth->plan.pitch * growth->plan.window_pages
        + offset % growth->plan.pitch / growth->page_size;
    uintptr_t source = growth->plan.source + (found->first + number) * growth->page_size;
    if (bench_uffd_copy(descriptor, page, source, growth->page_size, 0, &growth->counters) != 0) {
        growth->counters.failures++;
    }
}

static void *run(void *argument) {
    bench_growth *growth = argument;
    struct epoll_event events[EVENTS];
    bench_pin(growth->plan.cpu);
    for (;;) {
        growth->counters.waits++;
        int ready = epoll_wait(growth->poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == growth->stop) return NULL;
            serve(growth, events[i].data.fd);
        }
    }
}

static int watch(bench_growth *growth, int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    return epoll_ctl(growth->poll, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : errno;
}

static int compare(const void *left, const void *right) {
    const region *a = left, *b = right;
    return a->base < b->base ? -1 : a->base > b->base;
}

static int prepare(bench_growth *growth) {
    const bench_growth_plan *plan = &growth->plan;
    growth->poll = epoll_create1(EPOLL_CLOEXEC);
    growth->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    growth->descriptors = calloc(plan->descriptors, sizeof *growth->descriptors);
    growth->regions = calloc(plan->regions, sizeof *growth->regions);
    growth->by_address = calloc(plan->regions, sizeof *growth->by_address);
    if (!growth->descriptors || !growth->regions || !growth->by_address) return ENOMEM;
    for (uint32_t i = 0; i < plan->descriptors; i++) growth->descriptors[i] = -1;
    if (growth->poll < 0 || growth->stop < 0) return errno;
    int error = watch(growth, growth->stop);
    for (uint32_t i = 0; i < plan->descriptors && error == 0; i++) {
        int access, descriptor = bench_uffd_open(1, &access);
        if (descriptor < 0) return -descriptor;
        growth->descriptors[i] = descriptor;
        error = watch(growth, descriptor);
    }
    for (uint32_t i = 0; i < plan->regions && error == 0; i++) {
        uintptr_t base = bench_uffd_map(descriptor_of(growth, i), plan->region_bytes);
        if (base == 0) return errno;
        growth->regions[i] = growth->by_address[i] = (region){base, i * plan->pages_per_region};
    }
    if (error != 0) return error;
    qsort(growth->by_address, plan->regions, sizeof *growth->by_address, compare);
    if (plan->parked == 0) return 0;
    growth->parking = bench_uffd_map(growth->descriptors[0], plan->parked * growth->page_size);
    return growth->parking == 0 ? errno : 0;
}

static void dispose(bench_growth *growth) {
    for (uint32_t i = 0; growth->descriptors != NULL && i < growth->plan.descriptors; i++) {
        if (growth->descriptors[i] >= 0) close(growth->descriptors[i]);
    }
    for (uint32_t i = 0; growth->regions != NULL && i < growth->plan.regions; i++) {
        if (growth->regions[i].base != 0) munmap((void *)growth->regions[i].base, growth->plan.region_bytes);
    }
    if (growth->parking != 0) munmap((void *)growth->parking, growth->plan.parked * growth->page_size);
    if (growth->poll >= 0) close(growth->poll);
    if (growth->stop >= 0) close(growth->stop);
    free(growth->descriptors);
    free(growth->regions);
    free(growth->by_address);
    free(growth);
}

bench_growth *bench_growth_start(const bench_growth_plan *plan, int *error) {
    bench_growth *growth = calloc(1, sizeof *growth);
    if (growth == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    growth->plan = *plan;
    growth->page_size = (size_t)sysconf(_SC_PAGESIZE);
    *error = prepare(growth);
    if (*error == 0) *error = pthread_create(&growth->thread, NULL, run, growth);
    if (*error == 0) return growth;
    dispose(growth);
    return NULL;
}

uintptr_t bench_growth_base(const bench_growth *growth, uint32_t number) { return growth->regions[number].base; }

uintptr_t bench_growth_parking(const bench_growth *growth) { return growth->parking; }

uint32_t bench_growth_parked(const bench_growth *growth) { return atomic_load(&growth->parked); }

void bench_growth_release(bench_growth *growth) {
    if (growth->plan.parked == 0) return;
    bench_counters ignored = {0};
    for (uint32_t i = 0; i < growth->plan.parked; i++) {
        bench_uffd_copy(
            growth->descriptors[0], growth->parking + i * growth->page_size, growth->plan.source,
            growth->page_size, 0, &ignored);
    }
}

void bench_growth_stop(bench_growth *growth, bench_counters *counters) {
    eventfd_write(growth->stop, 1);
    pthread_join(growth->thread, NULL);
    *counters = growth->counters;
    dispose(growth);
}
