#define _GNU_SOURCE
#include "touchers.h"
#include "counters.h"
#include "pages.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STACK_BYTES = 128 * 1024, CHECKED_WORDS = 4 };

typedef struct {
    bench_touchers *all;
    pthread_t thread;
    size_t first, end; // share of the order
    uint64_t began, ended;
    uint64_t mismatches;
} toucher;

struct bench_touchers {
    bench_touch_plan plan;
    uint32_t *order;
    uintptr_t *addresses; // a copy, or NULL
    uint64_t *latencies;
    uint64_t *ends;
    toucher *members;
    uint32_t made;
    pthread_barrier_t ready, start;
    _Atomic uint32_t running;
    sem_t done;
};

static uintptr_t address_of(const bench_touch_plan *plan, size_t page) {
    const uintptr_t *addresses = (const uintptr_t *)plan->addresses;
    return addresses != NULL ? addresses[page] : plan->base + page * plan->page_size;
}

static uint64_t check(const bench_touch_plan *plan, size_t page) {
    const volatile uint64_t *seen = (const volatile uint64_t *)address_of(plan, page);
    const uint64_t *expected = (const uint64_t *)(plan->expected + page * plan->page_size);
    size_t words = plan->page_size / sizeof *expected;
    size_t places[CHECKED_WORDS] = {0, (page * 37 + 1) % words, (page * 101 + words / 2) % words, words - 1};
    for (int i = 0; i < CHECKED_WORDS; i++) {
        if (seen[places[i]] != expected[places[i]]) return 1;
    }
    return 0;
}

static void *touch(void *argument) {
    toucher *me = argument;
    bench_touchers *all = me->all;
    const bench_touch_plan *plan = &all->plan;
    bench_pin(plan->cpu);
    size_t first = plan->pages + (size_t)(me - all->members) * plan->warm_up;
    for (size_t page = first; page < first + plan->warm_up; page++) me->mismatches += check(plan, page);
    pthread_barrier_wait(&all->ready);
    pthread_barrier_wait(&all->start);
    me->began = bench_now();
    for (size_t i = me->first; i < me->end; i++) {
        size_t page = all->order[i];
        const volatile uint64_t *word = (const volatile uint64_t *)address_of(plan, page);
        uint64_t before = bench_now();
        (void)*word;
        uint64_t after = bench_now();
        all->latencies[i] = after - before;
        all->ends[i] = after;
        me->mismatches += check(plan, page);
    }
    me->ended = bench_now();
    if (atomic_fetch_sub(&all->running, 1) == 1) sem_post(&all->done);
    return NULL;
}

static void interleave(bench_touchers *all) {
    size_t pages = all->plan.pages, threads = all->plan.threads;
    for (size_t i = 0, place = 0; i < threads; i++) {
        // The shares have equal lengths, or differ by one: where the division leaves a rest, the pages left go to the end.
        size_t end = pages * (i + 1) / threads;
        for (size_t page = i; place < end; page += threads) all->order[place++] = (uint32_t)(page < pages ? page : i);
    }
}

/// Runs of 1 to 16 pages, shuffled.
static void cluster(bench_touchers *all) {
    size_t pages = all->plan.pages, runs = 0, place = 0;
    uint32_t *first = malloc((pages + 1) * sizeof *first);
    if (first == NULL) return;
    uint64_t state = all->plan.seed;
    for (size_t page = 0; page < pages; page += 1 + bench_mix(state++) % 16) first[runs++] = (uint32_t)page;
    uint32_t *turn = malloc(runs * sizeof *turn);
    for (size_t i = 0; turn != NULL && i < runs; i++) {
        size_t j = bench_mix(state++) % (i + 1);
        turn[i] = turn[j];
        turn[j] = (uint32_t)i;
    }
    first[runs] = (uint32_t)pages;
    for (size_t i = 0; turn != NULL && i < runs; i++) {
        for (uint32_t page = first[turn[i]]; page < first[turn[i] + 1]; page++) all->order[place++] = page;
    }
    free(turn);
    free(first);
}

static void make_order(bench_touchers *all) {
    size_t pages = all->plan.pages;
    for (size_t i = 0; i < pages; i++) all->order[i] = (uint32_t)i;
    if (all->plan.pattern == BENCH_PATTERN_INTERLEAVED) return interleave(all);
    if (all->plan.pattern == BENCH_PATTERN_CLUSTERED) return cluster(all);
    if (all->plan.pattern != BENCH_PATTERN_SHUFFLED) return;
    uint64_t state = all->plan.seed;
    for (size_t i = pages - 1; i > 0; i--) {
        size_t j = bench_mix(state++) % (i + 1);
        uint32_t other = all->order[j];
        all->order[j] = all->order[i];
        all->order[i] = other;
    }
}

static void release_memory(bench_touchers *all) {
    free(all->order);
    free(all->addresses);
    free(all->latencies);
    free(all->ends);
    free(all->members);
    free(all);
}

bench_touchers *bench_touchers_make(const bench_touch_plan *plan) {
    bench_touchers *all = calloc(1, sizeof *all);
    if (all == NULL) return NULL;
    all->plan = *plan;
    all->order = malloc(plan->pages * sizeof *all->order);
    all->latencies = malloc(plan->pages * sizeof *all->latencies);
    all->ends = malloc(plan->pages * sizeof *all->ends);
    all->members = calloc(plan->threads, sizeof *all->members);
    if (plan->addresses != 0) {
        size_t size = (plan->pages + plan->threads * plan->warm_up) * sizeof *all->addresses;
        all->addresses = malloc(size);
        if (all->addresses != NULL) memcpy(all->addresses, (const void *)plan->addresses, size);
        all->plan.addresses = (uintptr_t)all->addresses;
    }
    if (!all->order || !all->latencies || !all->ends || !all->members || (plan->addresses && !all->addresses)) {
        release_memory(all);
        errno = ENOMEM;
        return NULL;
    }
    // Touched here, so that no ordinary fault falls into the measurement.
    memset(all->latencies, 1, plan->pages * sizeof *all->latencies);
    memset(all->ends, 1, plan->pages * sizeof *all->ends);
    make_order(all);
    atomic_store(&all->running, plan->threads);
    sem_init(&all->done, 0, 0);
    pthread_barrier_init(&all->ready, NULL, plan->threads + 1);
    pthread_barrier_init(&all->start, NULL, plan->threads + 1);

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (uint32_t i = 0; i < plan->threads; i++) {
        toucher *member = &all->members[i];
        member->all = all;
        member->first = plan->pages * i / plan->threads;
        member->end = plan->pages * (i + 1) / plan->threads;
        int error = pthread_create(&member->thread, &attributes, touch, member);
        if (error != 0) {
            // Those made so far stay at the barrier with the memory they use: the caller gives up the process.
            errno = error;
            return NULL;
        }
    }
    pthread_attr_destroy(&attributes);
    pthread_barrier_wait(&all->ready);
    usleep(1000); // lets them reach the second barrier, so that doing so is not counted
    return all;
}

void bench_touchers_release(bench_touchers *all) { pthread_barrier_wait(&all->start); }

int bench_touchers_wait(bench_touchers *all, uint32_t seconds) {
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += seconds;
    while (sem_timedwait(&all->done, &limit) != 0) {
        if (errno != EINTR) return errno;
    }
    return 0;
}

static uint64_t beginning(const bench_touchers *all) {
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < all->plan.threads; i++) {
        if (all->members[i].began < first) first = all->members[i].began;
    }
    return first;
}

uint64_t bench_touchers_elapsed(const bench_touchers *all) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < all->plan.threads; i++) {
        if (all->members[i].ended > last) last = all->members[i].ended;
    }
    return last - beginning(all);
}

uint64_t bench_touchers_mismatches(const bench_touchers *all) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < all->plan.threads; i++) sum += all->members[i].mismatches;
    return sum;
}

void bench_touchers_latencies(const bench_touchers *all, uint64_t *into) {
    memcpy(into, all->latencies, all->plan.pages * sizeof *into);
}

void bench_touchers_completions(const bench_touchers *all, uint64_t *into) {
    uint64_t first = beginning(all);
    for (size_t i = 0; i < all->plan.pages; i++) into[i] = all->ends[i] - first;
}

void bench_touchers_destroy(bench_touchers *all) {
    for (uint32_t i = 0; i < all->plan.threads; i++) pthread_join(all->members[i].thread, NULL);
    pthread_barrier_destroy(&all->ready);
    pthread_barrier_destroy(&all->start);
    sem_destroy(&all->done);
    release_memory(all);
}
