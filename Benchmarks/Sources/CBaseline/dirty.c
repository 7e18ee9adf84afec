#define _GNU_SOURCE
#include "dirty.h"
#include "kernel.h"
#include "pages.h"
#include "uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BATCH = 64, RUNS = 512 };

struct bench_dirty {
    bench_dirty_plan plan;
    int descriptor, poll, stop, pagemap;
    size_t page_size, pages;
    uintptr_t base;
    uint64_t *written; // a bit for each page, where we note ourselves
    struct bench_page_region *runs;
    pthread_t thread;
    int has_thread;
    bench_counters counters;
};

static int protect(bench_dirty *dirty, size_t page, size_t count, uint64_t mode) {
    struct uffdio_writeprotect request = {
        .range = {.start = dirty->base + page * dirty->page_size, .len = count * dirty->page_size}, .mode = mode};
    return ioctl(dirty->descriptor, UFFDIO_WRITEPROTECT, &request) == 0 ? 0 : errno;
}

// Set before the write goes on, and read when nobody writes any more.
static void note(bench_dirty *dirty, size_t page) {
    __atomic_fetch_or(&dirty->written[page / 64], (uint64_t)1 << page % 64, __ATOMIC_RELAXED);
}

// MARK: Messages

static void serve_writes(bench_dirty *dirty) {
    struct uffd_msg messages[BATCH];
    dirty->counters.reads++;
    ssize_t bytes = read(dirty->descriptor, messages, sizeof messages);
    if (bytes <= 0) return;
    size_t count = (size_t)bytes / sizeof *messages;
    dirty->counters.messages += count;
    for (size_t i = 0; i < count; i++) {
        size_t page = ((uintptr_t)messages[i].arg.pagefault.address - dirty->base) / dirty->page_size;
        note(dirty, page);
        if (protect(dirty, page, 1, 0) != 0) dirty->counters.failures++;
    }
}

static void *run(void *argument) {
    bench_dirty *dirty = argument;
    struct epoll_event events[2];
    bench_pin(dirty->plan.cpu);
    for (;;) {
        dirty->counters.waits++;
        int ready = epoll_wait(dirty->poll, events, 2, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == dirty->stop) return NULL;
            serve_writes(dirty);
        }
    }
}

static int start_thread(bench_dirty *dirty) {
    dirty->poll = epoll_create1(EPOLL_CLOEXEC);
    dirty->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (dirty->poll < 0 || dirty->stop < 0) return errno;
    struct epoll_event faults = {.events = EPOLLIN, .data.fd = dirty->descriptor};
    struct epoll_event stop = {.events = EPOLLIN, .data.fd = dirty->stop};
    if (epoll_ctl(dirty->poll, EPOLL_CTL_ADD, dirty->descriptor, &faults) != 0) return errno;
    if (epoll_ctl(dirty->poll, EPOLL_CTL_ADD, dirty->stop, &stop) != 0) return errno;
    int error = pthread_create(&dirty->thread, NULL, run, dirty);
    dirty->has_thread = error == 0;
    return error;
}

// MARK: Signals

static bench_dirty *trapped;
static struct sigaction before;

static void let_through(int number, siginfo_t *information, void *context) {
    (void)context;
    int saved = errno;
    uintptr_t offset = (uintptr_t)information->si_addr - trapped->base;
    size_t page = offset / trapped->page_size;
    __atomic_fetch_add(&trapped->counters.messages, 1, __ATOMIC_RELAXED);
    if (page < trapped->pages) note(trapped, page);
    // Not ours, or refused (too many mappings): it happens again, for who was there before.
    if (page >= trapped->pages
        || mprotect((void *)(trapped->base + page * trapped->page_size), trapped->page_size, PROT_READ | PROT_WRITE)) {
        sigaction(number, &before, NULL);
    }
    errno = saved;
}

static int trap_writes(bench_dirty *dirty) {
    struct sigaction action = {.sa_sigaction = let_through, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    trapped = dirty;
    if (sigaction(SIGSEGV, &action, &before) != 0) return errno;
    return mprotect((void *)dirty->base, dirty->plan.byte_count, PROT_READ) == 0 ? 0 : errno;
}

// MARK: Life

static int prepare(bench_dirty *dirty) {
    const bench_dirty_plan *plan = &dirty->plan;
    dirty->base = bench_memory_map(plan->byte_count);
    dirty->written = calloc((dirty->pages + 63) / 64, sizeof *dirty->written);
    dirty->runs = malloc(RUNS * sizeof *dirty->runs);
    if (dirty->base == 0 || dirty->written == NULL || dirty->runs == NULL) return ENOMEM;
    memcpy((void *)dirty->base, (const void *)plan->source, plan->byte_count);
    if (plan->style == BENCH_DIRTY_NONE) return 0;
    if (plan->style == BENCH_DIRTY_MPROTECT) return trap_writes(dirty);
    int access;
    dirty->descriptor =
        bench_uffd_open_with(1, plan->style == BENCH_DIRTY_ASYNC ? BENCH_FEATURE_WP_ASYNC : 0, &access);
    if (dirty->descriptor < 0) return -dirty->descriptor;
    int error =
        bench_uffd_register_for(dirty->descriptor, dirty->base, plan->byte_count, UFFDIO_REGISTER_MODE_WP);
    if (error == 0) error = protect(dirty, 0, dirty->pages, UFFDIO_WRITEPROTECT_MODE_WP);
    if (error != 0) return error;
    if (plan->style == BENCH_DIRTY_MESSAGES) return start_thread(dirty);
    dirty->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return dirty->pagemap < 0 ? errno : 0;
}

static void dispose(bench_dirty *dirty) {
    if (trapped == dirty) {
        sigaction(SIGSEGV, &before, NULL);
        trapped = NULL;
    }
    if (dirty->descriptor >= 0) close(dirty->descriptor);
    if (dirty->poll >= 0) close(dirty->poll);
    if (dirty->stop >= 0) close(dirty->stop);
    if (dirty->pagemap >= 0) close(dirty->pagemap);
    if (dirty->base != 0) munmap((void *)dirty->base, dirty->plan.byte_count);
    free(dirty->written);
    free(dirty->runs);
    free(dirty);
}

bench_dirty *bench_dirty_start(const bench_dirty_plan *plan, int *error) {
    bench_dirty *dirty = calloc(1, sizeof *dirty);
    if (dirty == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    dirty->plan = *plan;
    dirty->descriptor = dirty->poll = dirty->stop = dirty->pagemap = -1;
    dirty->page_size = (size_t)sysconf(_SC_PAGESIZE);
    dirty->pages = plan->byte_count / dirty->page_size;
    *error = prepare(dirty);
    if (*error == 0) return dirty;
    dispose(dirty);
    return NULL;
}

uintptr_t bench_dirty_base(const bench_dirty *dirty) { return dirty->base; }

void bench_dirty_stop(bench_dirty *dirty, bench_counters *counters) {
    if (dirty->has_thread) {
        eventfd_write(dirty->stop, 1);
        pthread_join(dirty->thread, NULL);
    }
    *counters = dirty->counters;
    dispose(dirty);
}

// MARK: Collecting

static void set_bits(uint64_t *bitmap, size_t first, size_t end) {
    for (size_t page = first; page < end; page++) bitmap[page / 64] |= (uint64_t)1 << page % 64;
}

static int has(const uint64_t *bitmap, size_t page) { return bitmap[page / 64] >> page % 64 & 1; }

/// Takes what was noted, and protects each run of it again.
static int take_noted(bench_dirty *dirty, uint64_t *bitmap) {
    size_t words = (dirty->pages + 63) / 64;
    memcpy(bitmap, dirty->written, words * sizeof *bitmap);
    memset(dirty->written, 0, words * sizeof *bitmap);
    // One call for all restores one mapping in the place of many.
    if (dirty->plan.style == BENCH_DIRTY_MPROTECT) {
        return mprotect((void *)dirty->base, dirty->plan.byte_count, PROT_READ) == 0 ? 0 : errno;
    }
    for (size_t page = 0; page < dirty->pages;) {
        if (bitmap[page / 64] >> page % 64 == 0) {
            page = (page / 64 + 1) * 64;
            continue;
        }
        size_t first = page;
        if (!has(bitmap, page)) {
            page++;
            continue;
        }
        while (page < dirty->pages && has(bitmap, page)) page++;
        int error = protect(dirty, first, page - first, UFFDIO_WRITEPROTECT_MODE_WP);
        if (error != 0) return error;
    }
    return 0;
}

/// Asks the kernel, which protects again in the same step.
static int scan(bench_dirty *dirty, uint64_t *bitmap) {
    uintptr_t end = dirty->base + dirty->plan.byte_count;
    struct bench_pm_scan_arg request = {
        .size = sizeof request, .flags = BENCH_PM_SCAN_WP_MATCHING | BENCH_PM_SCAN_CHECK_WPASYNC,
        .start = dirty->base, .end = end, .vec = (uintptr_t)dirty->runs, .vec_len = RUNS,
        .category_mask = BENCH_PAGE_IS_WRITTEN, .return_mask = BENCH_PAGE_IS_WRITTEN};
    while (request.start < end) {
        int count = ioctl(dirty->pagemap, BENCH_PAGEMAP_SCAN, &request);
        if (count < 0) return errno;
        for (int i = 0; i < count; i++) {
            set_bits(
                bitmap, (dirty->runs[i].start - dirty->base) / dirty->page_size,
                (dirty->runs[i].end - dirty->base) / dirty->page_size);
        }
        request.start = request.walk_end;
    }
    return 0;
}

int bench_dirty_collect(bench_dirty *dirty, uint64_t *bitmap) {
    switch (dirty->plan.style) {
    case BENCH_DIRTY_NONE: return ENOTSUP;
    case BENCH_DIRTY_ASYNC: return scan(dirty, bitmap);
    default: return take_noted(dirty, bitmap);
    }
}
