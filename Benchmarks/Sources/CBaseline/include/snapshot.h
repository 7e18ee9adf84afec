// Threads that write to random words of memory and time their pauses, while an image of it is taken; the taking by fork(2);
// and proof that an image shows one instant.
//
// Every thread has pages of its own and writes the number of the operation to two words of one of them, in an order that
// follows from its seed. An image therefore tells which operation each thread had reached, and all of the image follows from
// that. Besides, one thread counts in a word A, and one copies A to a word B: no image may show B ahead of A.

#ifndef CBASELINE_SNAPSHOT_H
#define CBASELINE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_writers bench_writers;

enum { BENCH_HISTOGRAM_BUCKETS = 1280, BENCH_SNAPSHOT_SHARED_PAGES = 2 };

typedef struct {
    uintptr_t base;    ///< what is written to, as `bench_snapshot_fill` made it
    size_t pages;      ///< at least BENCH_SNAPSHOT_SHARED_PAGES and one for each thread
    size_t page_size;
    uint32_t threads;
    uint64_t seed;
    int32_t cpu;       ///< to pin the threads to, or -1
} bench_writers_plan;

/// Writes the contents before the first operation.
void bench_snapshot_fill(const bench_writers_plan *plan);

/// Starts the threads. NULL with `*error` set when that fails.
bench_writers *bench_writers_start(const bench_writers_plan *plan, int *error);

/// Waits until every thread has done `operations` more than when it was called. Returns 0, or ETIMEDOUT after a minute.
int bench_writers_wait(const bench_writers *writers, uint64_t operations);

/// Begins or ends the recording of pauses: times from the end of one operation to the end of the next.
void bench_writers_record(bench_writers *writers, int on);

/// Ends the threads. After this the results can be read.
void bench_writers_stop(bench_writers *writers);

/// How many recorded pauses of all threads fell into each of BENCH_HISTOGRAM_BUCKETS buckets, the longest that a bucket
/// holds, and the longest recorded, in nanoseconds.
void bench_writers_histogram(const bench_writers *writers, uint64_t *into);
size_t bench_histogram_bucket(uint64_t time);
uint64_t bench_histogram_bound(size_t bucket);
uint64_t bench_writers_longest(const bench_writers *writers);

void bench_writers_destroy(bench_writers *writers);

/// What is wrong with an image.
typedef struct {
    size_t page;
    const char *what; ///< NULL when nothing is
} bench_image_fault;

/// Checks that `image` shows what the memory held at one instant. Returns 0, or an errno when it could not be checked.
int bench_image_verify(const bench_writers_plan *plan, uintptr_t image, bench_image_fault *fault);

/// Has a forked child write memory to a file. Returns 0 or an errno, the child's included.
int bench_fork_image(uintptr_t base, size_t byte_count, const char *path);

#endif
