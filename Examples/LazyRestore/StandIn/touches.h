// In which order pages are touched, and how long that took.

#ifndef TOUCHES_H
#define TOUCHES_H

#include <stdint.h>

/// A page among `pages`, in an order without any pattern: each once, for numbers below `pages`.
uint64_t scattered(uint64_t number, uint64_t pages, uint64_t seed);

/// Says "ready" on standard output, and waits until standard input ends: many processes can start at once.
void wait_at_gate(void);

struct times {
    uint64_t p50, p99, slowest;
};

/// What there is to say of `count` times, which are sorted by this.
struct times summary(uint64_t *times, uint64_t count);

#endif
