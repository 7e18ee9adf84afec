#define _GNU_SOURCE
#include "access.h"
#include "counters.h"
#include "pages.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_BYTES = 128 * 1024, CHECKED_WORDS = 4 };

typedef struct run run;

typedef struct {
    run *all;
    pthread_t thread;
    size_t first, end; // share of the order
    uint64_t began, ended, mismatches;
} member;

struct run {
    bench_access_plan plan;
    uint32_t *order;
    uint64_t *latencies;
    member *members;
    pthread_barrier_t start;
    _Atomic uint32_t running;
    sem_t done;
};

static uint64_t check(const volatile uint64_t *seen, const uint64_t *expected, size_t page, size_t words) {
    size_t places[CHECKED_WORDS] = {0, (page * 37 + 1) % words, (page * 101 + words / 2) % words, words - 1};
    for (int i = 0; i < CHECKED_WORDS; i++) {
        if (seen[places[i]] != expected[places[i]]) return 1;
    }
    return 0;
}

static void *go(void *argument) {
    member *me = argument;
    run *all = me->all;
    const bench_access_plan *plan = &all->plan;
    size_t words = plan->page_size / sizeof(uint64_t);
    bench_pin(plan->cpu);
    pthread_barrier_wait(&all->start);
    me->began = bench_now();
    for (size_t i = me->first; i < me->end; i++) {
        size_t page = all->order[i];
        volatile uint64_t *seen = (volatile uint64_t *)(plan->base + page * plan->page_size);
        uint64_t *expected = (uint64_t *)(plan->expected + page * plan->page_size);
        size_t place = (page * 53 + 7) % words;
        uint64_t wrong = 0;
        uint64_t before = bench_now();
        switch (plan->access) {
        case BENCH_ACCESS_WRITE:
            expected[place] = bench_mix(plan->seed ^ page);
            seen[place] = expected[place];
            break;
        case BENCH_ACCESS_CHANGE: {
            uint64_t value = seen[place];
            wrong = value != expected[place];
            seen[place] = value + 1;
            expected[place] += 1;
            break;
        }
        default: (void)seen[place];
        }
        all->latencies[i] = bench_now() - before;
        me->mismatches += wrong | check(seen, expected, page, words);
    }
    me->ended = bench_now();
    if (atomic_fetch_sub(&all->running, 1) == 1) sem_post(&all->done);
    return NULL;
}

static void make_order(uint32_t *order, const bench_access_plan *plan) {
    for (size_t i = 0; i < plan->pages; i++) order[i] = (uint32_t)i;
    if (!plan->shuffled) return;
    uint64_t state = plan->seed;
    for (size_t i = plan->pages - 1; i > 0; i--) {
        size_t j = bench_mix(state++) % (i + 1);
        uint32_t other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

static int start(run *all) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int error = 0;
    for (uint32_t i = 0; i < all->plan.threads && error == 0; i++) {
        member *one = &all->members[i];
        one->all = all;
        one->first = all->plan.pages * i / all->plan.threads;
        one->end = all->plan.pages * (i + 1) / all->plan.threads;
        error = pthread_create(&one->thread, &attributes, go, one);
    }
    pthread_attr_destroy(&attributes);
    return error;
}

static int finish(run *all, uint32_t seconds, bench_access_outcome *outcome) {
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += seconds;
    while (sem_timedwait(&all->done, &limit) != 0) {
        if (errno != EINTR) return errno;
    }
    uint64_t first = UINT64_MAX, last = 0;
    outcome->mismatches = 0;
    for (uint32_t i = 0; i < all->plan.threads; i++) {
        const member *one = &all->members[i];
        pthread_join(one->thread, NULL);
        if (one->began < first) first = one->began;
        if (one->ended > last) last = one->ended;
        outcome->mismatches += one->mismatches;
    }
    outcome->elapsed = last - first;
    return 0;
}

int bench_access_run(
    const bench_access_plan *plan, uint32_t seconds, uint64_t *latencies, bench_access_outcome *outcome) {
    run *all = calloc(1, sizeof *all);
    if (all == NULL) return ENOMEM;
    all->plan = *plan;
    all->latencies = latencies;
    all->order = malloc(plan->pages * sizeof *all->order);
    all->members = calloc(plan->threads, sizeof *all->members);
    int error = ENOMEM;
    if (all->order != NULL && all->members != NULL) {
        // Touched here, so that no ordinary fault falls into the measurement.
        memset(latencies, 1, plan->pages * sizeof *latencies);
        make_order(all->order, plan);
        atomic_store(&all->running, plan->threads);
        sem_init(&all->done, 0, 0);
        pthread_barrier_init(&all->start, NULL, plan->threads);
        // Threads that stay at the barrier, or with a page, keep the memory they use: the caller gives up the process.
        error = start(all);
        if (error != 0) return error;
        error = finish(all, seconds, outcome);
        if (error != 0) return error;
        pthread_barrier_destroy(&all->start);
        sem_destroy(&all->done);
    }
    free(all->order);
    free(all->members);
    free(all);
    return error;
}
