#include "touches.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t scattered(uint64_t number, uint64_t pages, uint64_t seed) {
    unsigned bits = 2;
    while (bits < 63 && (uint64_t)1 << bits < pages) bits++;
    uint64_t mask = ((uint64_t)1 << bits) - 1, page = number;
    // Each step can be undone, so that no page comes twice; numbers that are none of a page are gone on from.
    do {
        for (int round = 0; round < 3; round++) {
            page = (page * (0x9e3779b97f4a7c15u | 1) + seed * 0x632be59bd9b4e019u + (uint64_t)round) & mask;
            page ^= page >> (bits / 2);
        }
    } while (page >= pages);
    return page;
}

void wait_at_gate(void) {
    puts("ready");
    fflush(stdout);
    char byte;
    ssize_t count;
    do count = read(STDIN_FILENO, &byte, 1);
    while (count > 0 || (count < 0 && errno == EINTR));
}

static int ascending(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

struct times summary(uint64_t *times, uint64_t count) {
    if (count == 0) return (struct times){0};
    qsort(times, count, sizeof *times, ascending);
    return (struct times){times[(count - 1) / 2], times[(count - 1) * 99 / 100], times[count - 1]};
}
