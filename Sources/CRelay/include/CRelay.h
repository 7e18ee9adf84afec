// A thread that reads a userfaultfd's messages and does nothing else.
//
// The thread that causes an event (fork, mremap, madvise, munmap) sleeps in the kernel until its message is read, and
// it may hold any lock of the program meanwhile: glibc's fork holds every lock of malloc, free() those of its arena.
// So whoever reads must not wait for a lock: not for the allocator's, nor for one of the Swift runtime, nor for one of
// the dynamic loader. This thread makes system calls and plain memory accesses only; what it reads into is mapped
// before, or by a system call of its own. It never waits for whoever takes the messages.
//
// One thread at a time takes messages, fills pages and stops the relay. What can fail returns a negated errno.

#ifndef CRELAY_H
#define CRELAY_H

#include <stdint.h>

struct crelay;

// Starts the thread on a non-blocking userfaultfd. Memory for messages grows and shrinks by chunks of
// `chunk_messages`. NULL, and an errno, when there are no descriptors, memory or threads.
struct crelay *_Nullable crelay_start(int userfaultfd, uint32_t chunk_messages, int *_Nonnull error);

// Readable when there are messages that were not taken: an eventfd, reset by crelay_take. Written once for every read that
// brought something, so it may be watched by edges.
int crelay_descriptor(const struct crelay *_Nonnull relay);

// Moves up to `capacity` messages of 32 bytes each to `buffer` and returns how many; fewer than `capacity` only if
// there are no more.
int64_t crelay_take(struct crelay *_Nonnull relay, void *_Nonnull buffer, uint64_t capacity);

// What went wrong since the last call: an errno of read(2), or 0. EMFILE, ENFILE and ENOMEM are passing: a fork's
// message could not be delivered at once. After any other the thread reads no more.
int crelay_take_trouble(struct crelay *_Nonnull relay);

// How many descriptors are kept back for forks that find none. If it is none, the next fork may have to wait, with all
// the locks that its thread holds.
uint32_t crelay_reserve_count(const struct crelay *_Nonnull relay);

// Whether pages may be filled now: no event has been read that was not taken, and none is being read. If so, no event
// is read until crelay_end_fill, which has to follow soon. The kernel refuses fills while an event is unread, and here
// it would count as read before anyone knows of it.
int crelay_begin_fill(struct crelay *_Nonnull relay);
void crelay_end_fill(struct crelay *_Nonnull relay);

// Ends the thread; messages can still be taken. Once is enough, more does no harm.
void crelay_stop(struct crelay *_Nonnull relay);

// Stops, and gives everything back. The userfaultfd stays open.
void crelay_free(struct crelay *_Nonnull relay);

// How many chunks are mapped: for tests.
uint32_t crelay_chunk_count(const struct crelay *_Nonnull relay);

#endif
