// What is known of the pages of a region: those that threads have installed, and those that nobody will supply.

#include "internal.h"

struct cinthread_run cinthread_next_installed(const struct cinthread_region *region, uint64_t page) {
    uint64_t count = (region->end - region->start) >> region->page_shift;
    while (page < count) {
        // Long stretches without any are passed over by the 4096 pages.
        if (!cinthread_is_set(region->touched, page / 4096)) {
            uint64_t rest = atomic_load(&region->touched[page / 4096 / 64]) >> page / 4096 % 64;
            uint64_t step = rest ? (uint64_t)__builtin_ctzll(rest) : 64 - page / 4096 % 64;
            page = (page / 4096 + step) * 4096;
            continue;
        }
        uint64_t rest = atomic_load(&region->installed[page / 64]) >> page % 64;
        if (rest) {
            page += (uint64_t)__builtin_ctzll(rest);
            uint64_t end = page + 1;
            while (end < count && cinthread_is_set(region->installed, end)) end++;
            return (struct cinthread_run){page, end - page};
        }
        page = (page / 64 + 1) * 64;
    }
    return (struct cinthread_run){0, 0};
}

void cinthread_forget_installed(struct cinthread_region *region, uint64_t page, uint64_t count) {
    uint64_t forgotten = 0;
    for (uint64_t i = page; i < page + count; i++) {
        uint64_t mask = 1ull << i % 64;
        if (!(atomic_load(&region->installed[i / 64]) & mask)) continue;
        if (atomic_fetch_and(&region->installed[i / 64], ~mask) & mask) forgotten++;
    }
    if (forgotten) atomic_fetch_add(&region->forgotten, forgotten);
}

void cinthread_withhold(struct cinthread_region *region, uint64_t page, uint64_t count, bool sealed) {
    if (sealed) atomic_store(&region->has_seals, true);
    for (uint64_t i = page; i < page + count; i++) atomic_fetch_or(&region->withheld[i / 64], 1ull << i % 64);
}

struct cinthread_counts cinthread_count(const struct cinthread_region *region) {
    struct cinthread_counts counts = {0, 0, 0};
    for (int i = 0; i < cinthread_shard_count; i++) {
        const struct cinthread_shard *shard = &region->shards[i];
        counts.resolutions += atomic_load(&shard->resolutions);
        counts.pages += atomic_load(&shard->pages);
        counts.present += atomic_load(&shard->installed);
    }
    counts.present -= atomic_load(&region->forgotten);
    return counts;
}
