// Where threads sleep: futex words, chosen by the page's address. They are never freed, so that a thread that sleeps
// keeps nothing alive. Two pages can share a word; who is woken for the other's sake tries its access again, and is
// back soon.

#include "internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { place_count = 1024 };

static struct cinthread_place places[place_count];
struct cinthread_place cinthread_room;

CINTHREAD_BEGIN_PLAIN

static struct cinthread_place *place_of_number(uint64_t number) {
    return &places[(number ^ number >> 10 ^ number >> 20) % place_count];
}

struct cinthread_place *cinthread_place_of(uint64_t page_address) { return place_of_number(page_address >> 12); }

uint32_t cinthread_take_place(struct cinthread_place *place) {
    // Counted first: whoever wakes later sees it, and changes the word that is read here.
    atomic_fetch_add(&place->sleepers, 1);
    return atomic_load(&place->word);
}

void cinthread_leave_place(struct cinthread_place *place) { atomic_fetch_sub(&place->sleepers, 1); }

void cinthread_set_mask(const sigset_t *mask) { syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, (size_t)8); }

void cinthread_sleep(struct cinthread_place *place, uint32_t word, const ucontext_t *context) {
    // As in the kernel, whoever waits for a page can be interrupted. A handler that leaves by siglongjmp makes the
    // place look taken, which costs its wakes a system call and nothing else.
    cinthread_set_mask(&context->uc_sigmask);
    while (atomic_load(&place->word) == word) {
        long answer = syscall(SYS_futex, &place->word, FUTEX_WAIT_PRIVATE, word, NULL, NULL, 0);
        if (answer < 0 && errno != EINTR && errno != EAGAIN) break;
    }
    cinthread_leave_place(place);
}

void cinthread_wake_place(struct cinthread_place *place) {
    // What the sleepers wait for was done before this.
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&place->sleepers, memory_order_relaxed) == 0) return;
    atomic_fetch_add(&place->word, 1);
    syscall(SYS_futex, &place->word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

CINTHREAD_END_PLAIN

bool cinthread_is_futex(uint64_t address) {
    uint64_t first = (uint64_t)(uintptr_t)places;
    return (address >= first && address < first + sizeof(places)) || address == (uint64_t)(uintptr_t)&cinthread_room.word;
}

void cinthread_wake(uint64_t start, uint64_t length) {
    uint64_t first = start >> 12, count = length >> 12;
    if (count >= place_count) {
        for (uint64_t i = 0; i < place_count; i++) cinthread_wake_place(&places[i]);
    } else {
        for (uint64_t i = 0; i < count; i++) cinthread_wake_place(place_of_number(first + i));
    }
}
