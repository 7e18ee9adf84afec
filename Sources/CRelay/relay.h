// What the two sides of the relay share.

#ifndef CRELAY_INTERNAL_H
#define CRELAY_INTERNAL_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "CRelay.h"

// The sanitizers' runtimes have locks, which a forking thread holds as well. Nothing here may call into them.
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define RELAY_PLAIN __attribute__((disable_sanitizer_instrumentation))
#endif
#endif
#ifndef RELAY_PLAIN
#define RELAY_PLAIN __attribute__((no_sanitize("thread", "address")))
#endif

enum { relay_message_size = 32, relay_event_fault = 0x12, relay_reserve_limit = 8 };

// A piece of the queue. Written by the relay, then read by the taker; taken chunks come back as `spare`.
struct relay_chunk {
    struct relay_chunk *_Nullable next;  // set when the chunk is full, after the last message was published
    uint32_t published;
    uint32_t capacity;
    uint64_t byte_count;        // of the mapping
    uint64_t padding;
    unsigned char messages[];
};

// Who may read or fill. A fill holds it for one ioctl, the relay for one read.
enum relay_gate { gate_free, gate_fills, gate_reads, gate_fills_awaited };

struct crelay {
    // The relay's own.
    struct relay_chunk *_Nonnull tail;
    int userfaultfd;
    int reserve[relay_reserve_limit];   // descriptors to give up when those of forks find no room

    // The taker's own.
    struct relay_chunk *_Nullable head;
    uint32_t taken;             // messages of `head` that were taken
    uint64_t events_taken;
    int is_running;
    unsigned long thread;

    // Shared.
    int ready;                  // eventfd: there are messages
    int stop;                   // eventfd: the relay is to end
    uint32_t chunk_messages;
    uint32_t gate __attribute__((aligned(64)));
    uint32_t chunk_count;
    struct relay_chunk *_Nullable spare;
    uint64_t events_published;
    int trouble;
    uint32_t reserve_count;
};

struct relay_chunk *_Nullable relay_map_chunk(struct crelay *_Nonnull relay);
void relay_unmap_chunk(struct crelay *_Nonnull relay, struct relay_chunk *_Nonnull chunk);
void relay_fill_reserve(struct crelay *_Nonnull relay);
void *_Nullable relay_run(void *_Nullable relay);

#endif
