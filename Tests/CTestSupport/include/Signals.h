// Signal handlers that a program might have, for tests of one that stands in front of them.

#ifndef CTEST_SIGNALS_H
#define CTEST_SIGNALS_H

#include <stdint.h>

_Pragma("clang assume_nonnull begin")

// What a recording handler was called with.
struct ctest_record {
    int count;
    int number;
    int code;           // 0 for a handler without SA_SIGINFO
    uint64_t address;   // likewise
    uint64_t mask;      // the signals that were blocked
    int error;          // errno at the time
};

// Installs a handler that records, with these flags of sigaction(2), which blocks `blocked` meanwhile (0: nothing).
void ctest_record_signal(int number, int flags, int blocked);
struct ctest_record ctest_last_record(void);
// The byte at the address, or a negated signal number when the recording handler was called instead, which ends the
// access.
int ctest_recorded_peek(uint64_t address);
// The mask of the calling thread.
uint64_t ctest_current_mask(void);
int ctest_block_signal(int number);
// Threads of a test inherit the mask of the pool's threads, which block most signals.
int ctest_unblock_signal(int number);
void ctest_ignore_signal(int number);
// raise(3), or a number of the thread's errno that did not come through.
int ctest_raise_keeping_errno(int number, int error);

// Sends the calling thread what a missing page at `address` would: as if it came late to its handler.
int ctest_send_bus_error(uint64_t address);

// Installs a handler that touches the byte at `address`, on a stack of its own if the thread has one, and records it.
void ctest_touch_on_signal(int number, uint64_t address);
// How often that was done, and the byte of the last time.
int ctest_touch_count(void);
int ctest_touched_byte(void);
// Gives the calling thread a stack for signals. For good.
void ctest_use_signal_stack(void);

// A shared mapping whose file has no bytes: every access is a bus error.
uint64_t ctest_map_empty_file(uint64_t length);
// Forks without the C library; the child exits with the answer of ctest_recorded_peek. Its status, as of ctest_wait.
int ctest_recorded_peek_in_child(uint64_t address);
// Forks; the child resolves a fault of its own in-thread, from bytes that it compares, and exits with 0 or with the
// step that failed. Its status, as of ctest_wait.
int ctest_resolve_in_child(void);
// Eight threads or so at once: waits until all have come.
struct ctest_barrier;
struct ctest_barrier *ctest_barrier_make(int count);
void ctest_barrier_wait(struct ctest_barrier *barrier);
/* Waits for those who are on their way out of it (pthread_barrier_destroy(3)). */
void ctest_barrier_free(struct ctest_barrier *barrier);

_Pragma("clang assume_nonnull end")

#endif
