// The checkpoint: every number of it follows from the seed.
#define _GNU_SOURCE
#include "stand_in.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options options = {.seed = 1, .tasks = 1, .pages = 256, .threads = 2, .deeds = "walk", .fault = ""};

void fail(const char *what) {
    fprintf(stderr, "restore-stand-in: %s: %s\n", what, strerror(errno));
    _exit(2);
}

uint64_t mixed(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

uint64_t page_size(void) {
    static uint64_t size;
    if (!size) size = (uint64_t)sysconf(_SC_PAGESIZE);
    return size;
}

uint64_t word(int pid, uint64_t address) {
    return mixed(address ^ ((uint64_t)pid << 48) ^ (options.seed * 0x9e3779b97f4a7c15u)) | 1;
}

int is_fault(const char *name) { return strcmp(options.fault, name) == 0; }

int may_be_lazy(const struct area *area) {
    return (area->flags & (map_private | map_anonymous | map_locked)) == (map_private | map_anonymous);
}

// 0 and 1 are neighbours, so that runs of pages reach from one into the other; 2 is locked; 3 is of a file; 4 is large
// and almost empty; 5 is the stack; 6 is no mapping but marks of guards within 0.
void areas_of(int pid, struct area *list) {
    uint64_t page = page_size(), base = 0x300000000000u + ((uint64_t)(pid % 16) << 36);
    uint64_t half = options.pages / 2;
    struct area made[areas] = {
        {base, half, map_private | map_anonymous, 0x201},
        {base + half * page, options.pages - half, map_private | map_anonymous, 0x221},
        {base + (1u << 30), 4, map_private | map_anonymous | map_locked, 0x201},
        {base + (2u << 30), 4, map_private, 0x41},
        {base + (1ull << 33), (1ull << 40) / 64 / page, map_private | map_anonymous, 0x201},
        {base + (1ull << 35), 16, map_private | map_anonymous | map_grows_down, 0x203},
        {base + page, 1, map_private | map_anonymous, 0x10201},
    };
    memcpy(list, made, sizeof(made));
}

enum page_state state_of(int pid, const struct area *area, uint64_t page) {
    if (area->status & 0x10000 || !(area->flags & map_anonymous)) return page_absent;
    if (!may_be_lazy(area)) return page_restored;
    // The stack is all there; of the large area, a few pages in its middle.
    if (area->flags & map_grows_down) return page_lazy;
    if (area->pages > 1u << 16) return page >= area->pages / 2 && page < area->pages / 2 + 8 ? page_lazy : page_absent;
    uint64_t address = area->start + page * page_size();
    switch (mixed((address / page_size() / 4) ^ ((uint64_t)pid << 40) ^ mixed(options.seed)) % 8) {
    case 0: return page_absent;
    case 1: return page_restored;
    default: return page_lazy;
    }
}
