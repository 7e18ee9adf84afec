// The regions of the process, and how signal handlers find them.
//
// The table is fixed, and a region's place in it is never freed: a handler may look at any of them at any time. A
// handler that wants more than that counts itself as a user first, and looks at the state afterwards; who takes a
// region out of service sets the state first, and waits for the count afterwards. One of the two sees the other.
//
//   free -> live -> closing -> over -> free
//
// While it is live, threads install pages. While it is closing, they sleep. A region that is over stays in the table
// for a while: a thread may be on its way to the handler because of a page that was missing then and is there now,
// and must not be taken for a stray.

#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static struct cinthread_region regions[cinthread_region_limit];
// Regions that are over are kept up to this number.
enum { over_limit = 256 };
// How long closing waits for threads that are installing a page: a copy takes microseconds, but a source can be on a
// disk.
static const int64_t patience = 20000000; // nanoseconds

// All that follows is under the mutex.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct cinthread_region *over_oldest, *over_newest;
static uint32_t over_count;
static uint32_t used_count; // places that were ever used
static struct cinthread_region *unused;
// A word that is 1 in this process and 0 in its children.
static _Atomic uint32_t *_Atomic lifeline;

CINTHREAD_BEGIN_PLAIN

bool cinthread_is_alive(void) {
    _Atomic uint32_t *line = atomic_load_explicit(&lifeline, memory_order_acquire);
    return line && atomic_load_explicit(line, memory_order_relaxed) == 1;
}

static uint64_t users_of(const struct cinthread_region *region) {
    uint64_t users = 0;
    for (int i = 0; i < cinthread_shard_count; i++) users += atomic_load(&region->shards[i].users);
    return users;
}

CINTHREAD_END_PLAIN

// MARK: The end of a region

struct release {
    void (*call)(void *);
    void *context;
};

// Takes the region's memory, if nobody uses it any more.
static bool take_remains(struct cinthread_region *region, struct release *release) {
    if (region->is_released || users_of(region) != 0) return false;
    region->is_released = true;
    free(region->installed);
    free(region->withheld);
    free(region->touched);
    region->installed = region->withheld = region->touched = NULL;
    cinthread_queue_release(region->queue);
    *release = (struct release){region->release, region->context};
    return true;
}

// Releases what can be by now. Unlocks the mutex while it calls.
static void sweep(void) {
    struct release release;
    struct cinthread_region *region = over_oldest;
    while (region) {
        if (!take_remains(region, &release)) {
            region = region->next;
            continue;
        }
        pthread_mutex_unlock(&mutex);
        release.call(release.context);
        pthread_mutex_lock(&mutex);
        region = over_oldest;
    }
}

// Forgets regions that are over: those in the way of a new one, and the oldest if there are many.
static void forget(uint64_t start, uint64_t end, uint32_t limit) {
    struct cinthread_region **link = &over_oldest, *last = NULL;
    while (*link) {
        struct cinthread_region *region = *link;
        bool is_in_the_way = region->start < end && start < region->end;
        if (!region->is_released || (!is_in_the_way && over_count <= limit)) {
            last = region;
            link = &region->next;
            continue;
        }
        cinthread_delete(region);
        *link = region->next;
        over_count--;
        atomic_store(&region->state, cinthread_free);
        region->next = unused;
        unused = region;
    }
    over_newest = last;
}

// MARK: What others call

static int begin(void) {
    if (cinthread_is_alive()) return 0;
    // The first time, or in a child, for which the parent's regions mean nothing.
    _Atomic uint32_t *line = lifeline;
    if (!line) {
        line = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (line == MAP_FAILED) return errno;
        madvise(line, 4096, 18 /* MADV_WIPEONFORK */);
    }
    cinthread_empty_tables();
    for (uint32_t i = 0; i < used_count; i++) {
        memset(&regions[i], 0, sizeof(regions[i]));
    }
    over_oldest = over_newest = unused = NULL;
    over_count = used_count = 0;
    atomic_store(line, 1);
    atomic_store(&lifeline, line);
    return 0;
}

int cinthread_prepare(void) {
    // In a child, another thread of the parent may have held it.
    if (atomic_load(&lifeline) && !cinthread_is_alive()) pthread_mutex_init(&mutex, NULL);
    pthread_mutex_lock(&mutex);
    int error = begin();
    if (error == 0) error = cinthread_install(cinthread_handle);
    pthread_mutex_unlock(&mutex);
    return error;
}

static struct cinthread_region *take_unused(void) {
    if (unused) {
        struct cinthread_region *region = unused;
        unused = region->next;
        return region;
    }
    return used_count < cinthread_region_limit ? &regions[used_count++] : NULL;
}

struct cinthread_region *cinthread_add(
    struct cinthread_queue *queue, int descriptor, uint64_t start, uint64_t length, uint64_t page_size) {
    uint64_t words = (length / page_size + 63) / 64;
    _Atomic uint64_t *installed = calloc(words, sizeof(uint64_t)), *withheld = calloc(words, sizeof(uint64_t));
    _Atomic uint64_t *touched = calloc((words + 4095) / 4096, sizeof(uint64_t));
    struct cinthread_region *region = NULL;
    int error = ENOMEM;
    pthread_mutex_lock(&mutex);
    sweep();
    if (installed && withheld && touched) {
        forget(start, start + length, over_limit);
        if (cinthread_overlaps(start, start + length)) {
            error = EEXIST;
        } else {
            region = take_unused();
            if (!region && over_count > 0) {
                forget(start, start + length, over_count - 1);
                region = take_unused();
            }
            error = ENOSPC;
        }
    }
    if (region) {
        cinthread_queue_retain(queue);
        region->may = 0;
        region->page_shift = (uint32_t)__builtin_ctzll(page_size);
        region->start = start;
        region->end = start + length;
        region->descriptor = descriptor;
        region->queue = queue;
        region->installed = installed;
        region->withheld = withheld;
        region->touched = touched;
        region->has_seals = false;
        region->forgotten = 0;
        region->release = NULL;
        region->is_released = false;
        for (int i = 0; i < cinthread_shard_count; i++)
            region->shards[i].resolutions = region->shards[i].pages = region->shards[i].installed = 0;
        atomic_store(&region->state, cinthread_live);
        cinthread_insert(region);
    }
    pthread_mutex_unlock(&mutex);
    if (!region) {
        free(installed);
        free(withheld);
        free(touched);
        errno = error;
    }
    return region;
}

void cinthread_allow(struct cinthread_region *region, const struct cinthread_plan *plan) {
    region->source = plan->source;
    region->source_length = plan->source_length;
    region->pages_per_fault = plan->pages_per_fault;
    atomic_store(&region->may, plan->may);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

bool cinthread_close(struct cinthread_region *region) {
    atomic_store(&region->state, cinthread_closing);
    int64_t deadline = now() + patience;
    while (users_of(region) != 0) {
        if (now() > deadline) return false;
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    return true;
}

void cinthread_remove(struct cinthread_region *region, void (*release)(void *), void *context) {
    atomic_store(&region->state, cinthread_over);
    cinthread_wake(region->start, region->end - region->start);
    cinthread_wake_place(&cinthread_room);
    pthread_mutex_lock(&mutex);
    region->release = release;
    region->context = context;
    region->next = NULL;
    if (over_newest) over_newest->next = region; else over_oldest = region;
    over_newest = region;
    over_count++;
    sweep();
    forget(0, 0, over_limit);
    pthread_mutex_unlock(&mutex);
}
