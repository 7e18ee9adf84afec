#define _GNU_SOURCE
#include "lockers.h"
#include "page_layout.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { STACK_BYTES = 128 * 1024 };

typedef struct {
    cstress_lockers *all;
    pthread_t thread;
    _Atomic uint64_t count;
    int64_t corrupt;
    uint64_t seen, expected;
} locker;

struct cstress_lockers {
    cstress_plan plan;
    _Atomic int stopping, found;
    uint32_t made;
    int joined;
    locker members[];
};

static uint64_t step(uint64_t *random) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static size_t next_page(const cstress_plan *plan, size_t page, uint64_t *random) {
    if (plan->order == CSTRESS_ORDER_RANDOM) return step(random) % plan->pages;
    return (page + 1) % plan->pages;
}

static size_t first_page(const cstress_plan *plan, size_t member) {
    return plan->order == CSTRESS_ORDER_SEQUENTIAL ? plan->pages * member / plan->threads : 0;
}

/// Counts in one page. 0 when it holds what it should.
static int count_in(locker *me, size_t page, uint64_t *random) {
    const cstress_plan *plan = &me->all->plan;
    uintptr_t at = plan->area + page * plan->page_size;
    volatile uint64_t *words = words_of(at), *shadow = (volatile uint64_t *)plan->shadow + page;
    size_t constants = plan->page_size / sizeof *words - FIRST_CONSTANT_WORD;
    size_t word = FIRST_CONSTANT_WORD + step(random) % constants;
    pthread_mutex_lock(mutex_of(at));
    me->seen = words[COUNTER_WORD];
    me->expected = *shadow;
    *shadow = words[COUNTER_WORD] = me->seen + 1;
    pthread_mutex_unlock(mutex_of(at));
    if (me->seen != me->expected) return 1;
    me->seen = words[word];
    me->expected = constant(page, word);
    return me->seen != me->expected;
}

static void *run(void *argument) {
    locker *me = argument;
    const cstress_plan *plan = &me->all->plan;
    size_t member = (size_t)(me - me->all->members), page = first_page(plan, member);
    uint64_t random = (plan->seed + member + 1) * 0x9e3779b97f4a7c15u | 1;
    while (!atomic_load_explicit(&me->all->stopping, memory_order_relaxed)) {
        if (count_in(me, page, &random) != 0) {
            me->corrupt = (int64_t)page;
            atomic_store(&me->all->found, 1);
            break;
        }
        atomic_fetch_add_explicit(&me->count, 1, memory_order_relaxed);
        page = next_page(plan, page, &random);
    }
    return NULL;
}

cstress_lockers *cstress_lockers_start(const cstress_plan *plan, int *error) {
    cstress_lockers *all = calloc(1, sizeof *all + plan->threads * sizeof *all->members);
    if (all == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    all->plan = *plan;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    *error = 0;
    while (all->made < plan->threads && *error == 0) {
        locker *member = &all->members[all->made];
        char name[16];
        member->all = all;
        member->corrupt = -1;
        *error = pthread_create(&member->thread, &attributes, run, member);
        if (*error != 0) break;
        snprintf(name, sizeof name, "locker %u", all->made);
        pthread_setname_np(member->thread, name);
        all->made++;
    }
    pthread_attr_destroy(&attributes);
    if (*error == 0) return all;
    cstress_lockers_stop(all);
    cstress_lockers_destroy(all);
    return NULL;
}

uint64_t cstress_lockers_count(const cstress_lockers *all, uint32_t thread) {
    return atomic_load_explicit(&all->members[thread].count, memory_order_relaxed);
}

int cstress_lockers_have_found(const cstress_lockers *all) { return atomic_load(&all->found); }

void cstress_lockers_stop(cstress_lockers *all) { atomic_store(&all->stopping, 1); }

void cstress_lockers_join(cstress_lockers *all) {
    if (all->joined) return;
    for (uint32_t i = 0; i < all->made; i++) pthread_join(all->members[i].thread, NULL);
    all->joined = 1;
}

int64_t cstress_lockers_corrupt(const cstress_lockers *all, uint32_t thread, uint64_t *seen, uint64_t *expected) {
    *seen = all->members[thread].seen;
    *expected = all->members[thread].expected;
    return all->members[thread].corrupt;
}

void cstress_lockers_destroy(cstress_lockers *all) {
    cstress_lockers_join(all);
    free(all);
}
