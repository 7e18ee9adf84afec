#define _GNU_SOURCE
#include "counters.h"
#include "snapshot_layout.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { STACK_BYTES = 128 * 1024, EXACT = 64, STEPS = 32, STEP_BITS = 5, EXACT_BITS = 6 };

typedef struct {
    bench_writers *all;
    pthread_t thread;
    _Atomic uint64_t done;
    uint64_t longest;
    uint64_t *histogram;
} writer;

struct bench_writers {
    bench_writers_plan plan;
    _Atomic int stopping, recording;
    uint32_t made;
    int joined;
    writer members[];
};

// Buckets of one nanosecond at first, then 32 to each power of two.
size_t bench_histogram_bucket(uint64_t time) {
    if (time < EXACT) return time;
    unsigned power = 63u - (unsigned)__builtin_clzll(time);
    size_t bucket = EXACT + (power - EXACT_BITS) * STEPS + (time >> (power - STEP_BITS)) % STEPS;
    return bucket < BENCH_HISTOGRAM_BUCKETS ? bucket : BENCH_HISTOGRAM_BUCKETS - 1;
}

uint64_t bench_histogram_bound(size_t bucket) {
    if (bucket < EXACT) return bucket;
    size_t power = (bucket - EXACT) / STEPS + EXACT_BITS, step = (bucket - EXACT) % STEPS;
    return ((uint64_t)1 << power) + ((step + 1) << (power - STEP_BITS)) - 1;
}

void bench_snapshot_fill(const bench_writers_plan *plan) {
    size_t words = words_per_page(plan);
    for (size_t page = 0; page < plan->pages; page++) {
        uint64_t *at = (uint64_t *)(plan->base + page * plan->page_size);
        for (size_t i = 1; i < words - 1; i++) at[i] = constant(plan, page, i);
        at[0] = at[words - 1] = 0;
    }
}

static void write_word(uintptr_t page, size_t word, uint64_t value) {
    __atomic_store_n((uint64_t *)page + word, value, __ATOMIC_RELEASE);
}

static void operate(const bench_writers_plan *plan, uint32_t thread, uint64_t number) {
    uintptr_t page = plan->base + own_page(plan, thread, target(plan, thread, number)) * plan->page_size;
    write_word(page, 0, number);
    write_word(page, words_per_page(plan) - 1, number);
    if (number % SHARED_PAUSE != 0) return;
    uintptr_t a = plan->base + PAGE_A * plan->page_size, b = plan->base + PAGE_B * plan->page_size;
    if (thread == 0) write_word(a, 0, number);
    if (thread == plan->threads - 1) write_word(b, 0, __atomic_load_n((uint64_t *)a, __ATOMIC_ACQUIRE));
}

static void *run(void *argument) {
    writer *me = argument;
    bench_writers *all = me->all;
    uint32_t thread = (uint32_t)(me - all->members);
    bench_pin(all->plan.cpu);
    uint64_t before = bench_now();
    for (uint64_t number = 1; !atomic_load_explicit(&all->stopping, memory_order_relaxed); number++) {
        operate(&all->plan, thread, number);
        atomic_store_explicit(&me->done, number, memory_order_relaxed);
        uint64_t now = bench_now(), pause = now - before;
        before = now;
        if (!atomic_load_explicit(&all->recording, memory_order_relaxed)) continue;
        me->histogram[bench_histogram_bucket(pause)]++;
        if (pause > me->longest) me->longest = pause;
    }
    return NULL;
}

static int start(bench_writers *all, const pthread_attr_t *attributes) {
    while (all->made < all->plan.threads) {
        writer *member = &all->members[all->made];
        member->all = all;
        member->histogram = calloc(BENCH_HISTOGRAM_BUCKETS, sizeof *member->histogram);
        if (member->histogram == NULL) return ENOMEM;
        int error = pthread_create(&member->thread, attributes, run, member);
        if (error != 0) return error;
        all->made++;
    }
    return 0;
}

bench_writers *bench_writers_start(const bench_writers_plan *plan, int *error) {
    bench_writers *all = calloc(1, sizeof *all + plan->threads * sizeof *all->members);
    if (all == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    all->plan = *plan;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    *error = start(all, &attributes);
    pthread_attr_destroy(&attributes);
    if (*error == 0) return all;
    bench_writers_destroy(all);
    return NULL;
}

static uint64_t done(const writer *member) { return atomic_load_explicit(&member->done, memory_order_relaxed); }

int bench_writers_wait(const bench_writers *all, uint64_t operations) {
    uint64_t limit = bench_now() + 60000000000u, goals[all->plan.threads];
    for (uint32_t i = 0; i < all->plan.threads; i++) goals[i] = done(&all->members[i]) + operations;
    for (uint32_t i = 0; i < all->plan.threads; i++) {
        while (done(&all->members[i]) < goals[i]) {
            if (bench_now() > limit) return ETIMEDOUT;
            usleep(200);
        }
    }
    return 0;
}

void bench_writers_record(bench_writers *all, int on) { atomic_store(&all->recording, on); }

void bench_writers_stop(bench_writers *all) {
    if (all->joined) return;
    atomic_store(&all->stopping, 1);
    for (uint32_t i = 0; i < all->made; i++) pthread_join(all->members[i].thread, NULL);
    all->joined = 1;
}

void bench_writers_histogram(const bench_writers *all, uint64_t *into) {
    for (size_t bucket = 0; bucket < BENCH_HISTOGRAM_BUCKETS; bucket++) {
        into[bucket] = 0;
        for (uint32_t i = 0; i < all->made; i++) into[bucket] += all->members[i].histogram[bucket];
    }
}

uint64_t bench_writers_longest(const bench_writers *all) {
    uint64_t longest = 0;
    for (uint32_t i = 0; i < all->made; i++) {
        if (all->members[i].longest > longest) longest = all->members[i].longest;
    }
    return longest;
}

void bench_writers_destroy(bench_writers *all) {
    bench_writers_stop(all);
    for (uint32_t i = 0; i < all->plan.threads; i++) free(all->members[i].histogram);
    free(all);
}
