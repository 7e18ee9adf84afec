#define _GNU_SOURCE
#include "parkers.h"
#include "counters.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { STACK_BYTES = 64 * 1024 };

typedef struct {
    pthread_t thread;
    uintptr_t address;
    int32_t cpu;
} parker;

struct bench_parkers {
    uint32_t count;
    parker members[];
};

static void *park(void *argument) {
    parker *me = argument;
    bench_pin(me->cpu);
    (void)*(const volatile unsigned char *)me->address;
    return NULL;
}

bench_parkers *bench_parkers_start(uintptr_t base, size_t page_size, uint32_t count, int32_t cpu) {
    bench_parkers *all = calloc(1, sizeof *all + count * sizeof all->members[0]);
    if (all == NULL) return NULL;
    all->count = count;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int error = 0;
    for (uint32_t i = 0; i < count && error == 0; i++) {
        parker *member = &all->members[i];
        member->address = base + i * page_size;
        member->cpu = cpu;
        error = pthread_create(&member->thread, &attributes, park, member);
    }
    pthread_attr_destroy(&attributes);
    if (error == 0) return all;
    errno = error;
    return NULL;
}

void bench_parkers_join(bench_parkers *all) {
    for (uint32_t i = 0; i < all->count; i++) pthread_join(all->members[i].thread, NULL);
    free(all);
}

uint64_t bench_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}
