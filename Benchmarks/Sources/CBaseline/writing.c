#define _GNU_SOURCE
#include "counters.h"
#include "dirty.h"

#include <pthread.h>

typedef struct {
    uintptr_t base;
    size_t page_size;
    const uint32_t *pages;
    size_t count;
    uint64_t value;
    int32_t cpu;
    uint64_t time;
} writing;

/// Another word of each page, so that no two of them share a set of the cache.
static volatile uint64_t *word_of(uintptr_t base, size_t page_size, uint32_t page) {
    return (volatile uint64_t *)(base + page * page_size) + page * 37 % (page_size / sizeof(uint64_t));
}

void bench_write_pages_here(uintptr_t base, size_t page_size, const uint32_t *pages, size_t count, uint64_t value) {
    for (size_t i = 0; i < count; i++) *word_of(base, page_size, pages[i]) = value;
}

static void *run(void *argument) {
    writing *work = argument;
    bench_pin(work->cpu);
    // The order of the pages is in the cache when the clock starts.
    uint64_t sum = 0;
    for (size_t i = 0; i < work->count; i++) sum += work->pages[i];
    __asm__ volatile("" : : "r"(sum));
    uint64_t begin = bench_now();
    bench_write_pages_here(work->base, work->page_size, work->pages, work->count, work->value);
    work->time = bench_now() - begin;
    return NULL;
}

uint64_t bench_write_pages(
    uintptr_t base, size_t page_size, const uint32_t *pages, size_t count, uint64_t value, int32_t cpu, int *error
) {
    writing work = {
        .base = base, .page_size = page_size, .pages = pages, .count = count, .value = value, .cpu = cpu};
    pthread_t thread;
    *error = pthread_create(&thread, NULL, run, &work);
    if (*error != 0) return 0;
    pthread_join(thread, NULL);
    return work.time;
}
