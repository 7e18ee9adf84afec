// What tests of forks and other changes of the address space need: children that look at memory, and threads that
// keep the allocator busy. Addresses are integers. What can fail returns a negated errno.

#ifndef CTEST_EVENTS_H
#define CTEST_EVENTS_H

#include <stdint.h>

_Pragma("clang assume_nonnull begin")

// A run of pages and what their first and last words must be: `first` + i, or as the options of ctest_walk say.
struct ctest_run {
    uint64_t at, count, page_size, first;
    int options;
};

enum { ctest_runs_limit = 4 };

// What a child does: waits for a byte from the pipe `hold` (unless that is -1), looks at the runs, forks a child that
// does the same (`generations` times in all), and exits with 0, the number of the run that was wrong, or 100 + what its
// own child exited with.
struct ctest_family {
    struct ctest_run runs[ctest_runs_limit];
    int run_count;
    int generations;
    int hold;       // read end
    int release;    // write end of the same pipe, which the child closes
};

// Forks without the C library. The number of the child.
int64_t ctest_fork_family(const struct ctest_family *family);

// Calls fork(3), with a child that exits at once, over and over. 0, a negated errno, or -1 when a child was wrong.
int64_t ctest_fork_over_and_over(uint64_t times);
int64_t ctest_spawn_over_and_over(uint64_t times);

// Allocates, reallocates and frees blocks of all sizes, and looks at pages of an area, until the word at `stop` is set. The
// number of rounds, or -1 - page when a page was wrong.
struct ctest_churn {
    uint64_t area, count, page_size, first;
    uint64_t stop;
    uint64_t seed;
};
int64_t ctest_churn(const struct ctest_churn *job);

// How many descriptors the process has open.
int ctest_descriptor_count(void);

// Lowers the limit on descriptors for good.
int ctest_set_hard_descriptor_limit(uint64_t limit);

_Pragma("clang assume_nonnull end")

#endif
