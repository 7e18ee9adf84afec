// What a thread does that has touched a page which is not there. Runs in its signal handler, with all signals
// blocked.

#include "internal.h"

#include <errno.h>
#include <pthread.h>

CINTHREAD_BEGIN_PLAIN

static struct cinthread_shard *shard_of(struct cinthread_region *region) {
    uint64_t mixed = (uint64_t)pthread_self() * 0x9E3779B97F4A7C15u;
    return &region->shards[mixed >> 61];
}

static bool is_write(const ucontext_t *context) {
#if defined(__x86_64__)
    return context->uc_mcontext.gregs[REG_ERR] & 2;
#else
    (void)context;
    return false;
#endif
}

// What to do about a page that is withheld: nothing (`refused`), unless it is there by now (`installed`), or missing
// again because the poison was taken away (`absent`).
static enum cinthread_answer check_withheld(struct cinthread_region *region, uint64_t page, uint64_t address) {
    int error = cinthread_probe(address);
    if (error == 0) return cinthread_installed;
    if (error != EFAULT || atomic_load(&region->has_seals)) return cinthread_refused;
    atomic_fetch_and(&region->withheld[page / 64], ~(1ull << page % 64));
    return cinthread_absent;
}

static void leave(struct cinthread_shard *shard) { atomic_fetch_sub(&shard->users, 1); }

static bool is_live(struct cinthread_region *region) { return atomic_load(&region->state) == cinthread_live; }

// Leaves the region, and sleeps until the place is woken.
static bool sleep_for(
    struct cinthread_place *place, uint32_t word, struct cinthread_shard *shard, const ucontext_t *context) {
    leave(shard);
    cinthread_sleep(place, word, context);
    return true;
}

// Gives the fault to the reactor, and sleeps until something has changed. The place is taken before the reactor can
// know of the fault, and so before it can wake.
static bool hand_over(
    struct cinthread_region *region, struct cinthread_shard *shard, uint64_t page, uint64_t address,
    const ucontext_t *context) {
    // The reactor's own thread would wait for itself: the access is an error in the program.
    if (cinthread_queue_serves(region->queue)) {
        leave(shard);
        return false;
    }
    struct cinthread_place *place = cinthread_place_of(region->start + (page << region->page_shift));
    uint32_t word = cinthread_take_place(place);
    if (is_live(region) && cinthread_queue_put(region->queue, address, is_write(context), place, word))
        return sleep_for(place, word, shard, context);
    // Full, or closing since. Asked again, for what has changed until the place was taken.
    uint32_t room = cinthread_take_place(&cinthread_room);
    bool live = is_live(region);
    if (live && cinthread_queue_put(region->queue, address, is_write(context), place, word)) {
        cinthread_leave_place(&cinthread_room);
        return sleep_for(place, word, shard, context);
    }
    cinthread_leave_place(place);
    if (live) return sleep_for(&cinthread_room, room, shard, context);
    cinthread_leave_place(&cinthread_room);
    leave(shard);
    return true;
}

// True when the access is to be tried again, false when it is not ours.
static bool resolve(uint64_t address, const ucontext_t *context) {
    struct cinthread_region *region = cinthread_find(address);
    if (!region) return false;
    struct cinthread_shard *shard = shard_of(region);
    atomic_fetch_add(&shard->users, 1);
    switch (atomic_load(&region->state)) {
    case cinthread_live: {
        // Another region may stand in this place by now.
        if (address < region->start || address >= region->end) break;
        uint64_t page = (address - region->start) >> region->page_shift;
        if (__builtin_expect(cinthread_is_set(region->withheld, page), 0)) {
            enum cinthread_answer answer = check_withheld(region, page, address);
            if (answer != cinthread_absent) {
                leave(shard);
                return answer == cinthread_installed;
            }
        }
        if (cinthread_install_pages(region, shard, page, is_write(context)) > cinthread_exists)
            return hand_over(region, shard, page, address, context);
        leave(shard);
        return true;
    }
    case cinthread_closing: {
        if (cinthread_queue_serves(region->queue)) {
            leave(shard);
            return false;
        }
        struct cinthread_place *place = cinthread_place_of(address & ~(uint64_t)4095);
        uint32_t word = cinthread_take_place(place);
        if (atomic_load(&region->state) == cinthread_closing) return sleep_for(place, word, shard, context);
        cinthread_leave_place(place);
        leave(shard);
        return true;
    }
    case cinthread_over:
        leave(shard);
        return cinthread_probe(address) == 0;
    default: break;
    }
    leave(shard);
    return true;
}

void cinthread_handle(int number, siginfo_t *info, void *state) {
    ucontext_t *context = state;
    int error = errno;
    bool is_ours = info->si_code == BUS_ADRERR && cinthread_is_alive() && resolve((uint64_t)info->si_addr, context);
    errno = error;
    if (!is_ours) {
        cinthread_pass_on(number, info, context);
        errno = error;
    }
}

CINTHREAD_END_PLAIN
