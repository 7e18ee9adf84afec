// How a signal handler finds the region that holds an address.
//
// There are two sorted tables. A reader always has one that is not being changed, even when it interrupts the thread
// that changes the other.

#include "internal.h"

struct entry {
    _Atomic uint64_t start, end;
    _Atomic(struct cinthread_region *) region;
};

struct table {
    _Atomic uint32_t count;
    struct entry entries[cinthread_region_limit];
};

static struct table tables[2];
// Readers use the table that its last bit names.
static _Atomic uint32_t version;

CINTHREAD_BEGIN_PLAIN

struct cinthread_region *cinthread_find(uint64_t address) {
    struct cinthread_region *found;
    uint32_t seen;
    do {
        found = NULL;
        seen = atomic_load_explicit(&version, memory_order_acquire);
        struct table *table = &tables[seen & 1];
        uint32_t low = 0, high = atomic_load_explicit(&table->count, memory_order_relaxed);
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            struct entry *entry = &table->entries[middle];
            if (address < atomic_load_explicit(&entry->start, memory_order_relaxed)) {
                high = middle;
            } else if (address >= atomic_load_explicit(&entry->end, memory_order_relaxed)) {
                low = middle + 1;
            } else {
                found = atomic_load_explicit(&entry->region, memory_order_relaxed);
                break;
            }
        }
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load_explicit(&version, memory_order_relaxed) != seen);
    return found;
}

CINTHREAD_END_PLAIN

// What follows is called under the mutex of regions.c.

static void move_entry(struct entry *to, struct entry *from) {
    atomic_store_explicit(&to->start, atomic_load_explicit(&from->start, memory_order_relaxed), memory_order_relaxed);
    atomic_store_explicit(&to->end, atomic_load_explicit(&from->end, memory_order_relaxed), memory_order_relaxed);
    atomic_store_explicit(&to->region, atomic_load_explicit(&from->region, memory_order_relaxed), memory_order_relaxed);
}

static uint32_t position_of(struct table *table, uint64_t start) {
    uint32_t low = 0, high = table->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (table->entries[middle].start < start) low = middle + 1; else high = middle;
    }
    return low;
}

static void insert(struct table *table, struct cinthread_region *region) {
    uint32_t at = position_of(table, region->start);
    for (uint32_t i = table->count; i > at; i--) move_entry(&table->entries[i], &table->entries[i - 1]);
    table->entries[at].start = region->start;
    table->entries[at].end = region->end;
    table->entries[at].region = region;
    table->count++;
}

static void delete(struct table *table, struct cinthread_region *region) {
    uint32_t at = position_of(table, region->start);
    table->count--;
    for (uint32_t i = at; i < table->count; i++) move_entry(&table->entries[i], &table->entries[i + 1]);
}

// Changes one table while readers use the other, then the other.
static void change(void (*how)(struct table *, struct cinthread_region *), struct cinthread_region *region) {
    for (int i = 0; i < 2; i++) {
        uint32_t now = atomic_load(&version);
        // Readers go to the table that `now + 1` names.
        atomic_store(&version, now + 1);
        atomic_thread_fence(memory_order_seq_cst);
        how(&tables[now & 1], region);
        atomic_thread_fence(memory_order_seq_cst);
    }
}

void cinthread_insert(struct cinthread_region *region) { change(insert, region); }

void cinthread_delete(struct cinthread_region *region) { change(delete, region); }

void cinthread_empty_tables(void) {
    for (int i = 0; i < 2; i++) tables[i].count = 0;
}

bool cinthread_overlaps(uint64_t start, uint64_t end) {
    struct table *table = &tables[version & 1];
    uint32_t at = position_of(table, start);
    return (at < table->count && table->entries[at].start < end) || (at > 0 && table->entries[at - 1].end > start);
}
