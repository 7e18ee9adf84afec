// Installs pages from what is in memory. Runs in a signal handler.

#include "internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "CUserfaultfd.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

// How often a copy is tried again while the address space is changing, before somebody else is asked to wait for it.
enum { attempts = 64 };

// 64 KiB of zeroes, never written: no page that is copied from here is larger.
static uint64_t zeroes[8192] __attribute__((aligned(4096)));

CINTHREAD_BEGIN_PLAIN

int cinthread_probe(uint64_t address) {
    uint64_t page = address & ~(uint64_t)4095;
    // A length that is not a multiple of the page size is rounded up, an address must be a multiple: of 64 KiB at
    // most.
    for (uint64_t size = 4096; size <= 65536; size *= 2) {
        if (syscall(SYS_madvise, page & ~(size - 1), (size_t)1, (long)MADV_POPULATE_READ) == 0) return 0;
        if (errno != EINVAL) return errno;
    }
    return EINVAL;
}

static void note_installed(
    struct cinthread_region *region, struct cinthread_shard *shard, uint64_t page, uint64_t count) {
    uint64_t new = 0;
    for (uint64_t end = page + count; page < end;) {
        uint64_t shift = page % 64, here = end - page < 64 - shift ? end - page : 64 - shift;
        uint64_t mask = (here == 64 ? ~0ull : (1ull << here) - 1) << shift;
        uint64_t old = atomic_fetch_or_explicit(&region->installed[page / 64], mask, memory_order_relaxed);
        new += (uint64_t)__builtin_popcountll(mask & ~old);
        if (!cinthread_is_set(region->touched, page / 4096))
            atomic_fetch_or(&region->touched[page / 4096 / 64], 1ull << page / 4096 % 64);
        page += here;
    }
    atomic_fetch_add_explicit(&shard->resolutions, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->pages, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->installed, new, memory_order_relaxed);
}

// How many pages from `page` on may be filled at once: not those that somebody has had his hands on.
static uint64_t run_length(struct cinthread_region *region, uint64_t page, uint64_t limit) {
    uint64_t count = 1;
    while (count < limit && !cinthread_is_set(region->installed, page + count)
           && !cinthread_is_set(region->withheld, page + count))
        count++;
    return count;
}

// Makes the kernel's call `request` until it has an answer that lasts.
static enum cinthread_answer fill(
    struct cinthread_region *region, unsigned long request, void *argument, __s64 *done) {
    for (int i = 0; i < attempts; i++) {
        *done = 0;
        // The kernel knows of no thread to wake.
        if (syscall(SYS_ioctl, (long)region->descriptor, request, argument) == 0) return cinthread_installed;
        // The first pages are done, and one of them is the one that was touched.
        if (*done > 0) return cinthread_installed;
        if (errno == EEXIST) return cinthread_exists;
        if (errno == EFAULT) return cinthread_absent;
        if (errno != EAGAIN) return cinthread_refused;
    }
    return cinthread_refused;
}

static enum cinthread_answer map_existing(
    struct cinthread_region *region, uint64_t start, uint64_t length, uint64_t *filled) {
    struct uffdio_continue call = {.range = {start, length}, .mode = UFFDIO_CONTINUE_MODE_DONTWAKE};
    enum cinthread_answer answer = fill(region, UFFDIO_CONTINUE, &call, &call.mapped);
    *filled = (uint64_t)call.mapped;
    return answer;
}

static enum cinthread_answer copy(
    struct cinthread_region *region, uint64_t start, uint64_t length, uint64_t source, uint64_t *filled) {
    struct uffdio_copy call = {.dst = start, .src = source, .len = length, .mode = UFFDIO_COPY_MODE_DONTWAKE};
    enum cinthread_answer answer = fill(region, UFFDIO_COPY, &call, &call.copy);
    *filled = (uint64_t)call.copy;
    return answer == cinthread_absent ? cinthread_refused : answer;
}

static enum cinthread_answer zero(
    struct cinthread_region *region, uint64_t start, uint64_t length, uint64_t *filled) {
    struct uffdio_zeropage call = {.range = {start, length}, .mode = UFFDIO_ZEROPAGE_MODE_DONTWAKE};
    enum cinthread_answer answer = fill(region, UFFDIO_ZEROPAGE, &call, &call.zeropage);
    *filled = (uint64_t)call.zeropage;
    // Unlike a copy, this is refused for a poisoned page as well, which would end in a second SIGBUS, a third…
    if (answer == cinthread_exists && cinthread_probe(start) == EHWPOISON) return cinthread_refused;
    return answer == cinthread_absent ? cinthread_refused : answer;
}

enum cinthread_answer cinthread_install_pages(
    struct cinthread_region *region, struct cinthread_shard *shard, uint64_t page, bool is_write) {
    uint32_t may = atomic_load_explicit(&region->may, memory_order_acquire), shift = region->page_shift;
    if (may == 0) return cinthread_refused;
    uint64_t start = region->start + (page << shift), pages = (region->end - start) >> shift;
    uint64_t limit = region->pages_per_fault < pages ? region->pages_per_fault : pages;
    uint64_t count = 0, filled = 0;
    enum cinthread_answer answer = cinthread_absent;
    if (may & cinthread_maps_existing) {
        count = run_length(region, page, limit);
        answer = map_existing(region, start, count << shift, &filled);
    }
    if (answer == cinthread_absent && may & (cinthread_copies | cinthread_zeroes)) {
        uint64_t offset = page << shift;
        uint64_t rest = offset < region->source_length ? region->source_length - offset : 0;
        if (rest >> shift) {
            if (!(may & cinthread_copies)) return cinthread_refused;
            count = run_length(region, page, limit < rest >> shift ? limit : rest >> shift);
            answer = copy(region, start, count << shift, region->source + offset, &filled);
        } else if (rest > 0 || !(may & cinthread_zeroes)) {
            // The page in which the source ends has to be put together.
            return cinthread_refused;
        } else if (is_write && limit == 1 && shift <= 16) {
            // A zero page would be replaced at once, by a second fault.
            count = 1;
            answer = copy(region, start, 1ull << shift, (uint64_t)(uintptr_t)zeroes, &filled);
        } else {
            count = run_length(region, page, limit);
            answer = zero(region, start, count << shift, &filled);
        }
    }
    if (answer == cinthread_installed) note_installed(region, shard, page, filled >> shift);
    return answer;
}

CINTHREAD_END_PLAIN
