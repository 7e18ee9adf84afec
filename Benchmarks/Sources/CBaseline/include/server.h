// The baselines: threads in plain C that serve page faults.

#ifndef CBASELINE_SERVER_H
#define CBASELINE_SERVER_H

#include "counters.h"
#include "remote.h"

#include <stddef.h>
#include <stdint.h>

typedef struct bench_server bench_server;

enum {
    BENCH_SERVE_READ,   ///< blocking read of one message, copy with wake
    BENCH_SERVE_EPOLL,  ///< epoll_wait, read of one message, copy with wake
    BENCH_SERVE_BATCH,  ///< epoll_wait, read of up to 64 messages, a copy with wake for each
    BENCH_SERVE_MERGED, ///< epoll_wait, read of up to 64 messages, a copy without wake for each, one wake over all
    BENCH_SERVE_PREAD,  ///< as BENCH_SERVE_EPOLL, with each page read from a file by pread(2) first
    BENCH_SERVE_AHEAD,  ///< as BENCH_SERVE_MERGED, each copy of up to 16 pages that a bitmap says are missing
    BENCH_SERVE_FLOOR,  ///< no faults: the whole region is copied in calls of `floor_pages` before the start
    BENCH_SERVE_DELAYED, ///< as BENCH_SERVE_EPOLL, with a store that takes `delay` to answer: the thread sleeps meanwhile
    BENCH_SERVE_BUSY,   ///< as BENCH_SERVE_EPOLL, with `work` rounds of work for each page
    BENCH_SERVE_REMOTE, ///< as BENCH_SERVE_READ, with each page fetched from a page server first
    BENCH_SERVE_SIGBUS, ///< no thread: whoever faults copies the page in a handler of SIGBUS; one such server at a time
};

typedef struct {
    uint32_t style;      ///< BENCH_SERVE_…
    uintptr_t source;    ///< page contents, byte for byte those of the region; unused by BENCH_SERVE_PREAD
    size_t byte_count;   ///< of the region, a multiple of the page size
    const char *path;    ///< the file of BENCH_SERVE_PREAD, else NULL
    bench_remote *remote; ///< the connection of BENCH_SERVE_REMOTE, closed by the server; else NULL
    int32_t cpu;         ///< to pin the serving thread to, or -1
    uint64_t work;       ///< of BENCH_SERVE_BUSY, rounds of bench_work
    size_t floor_pages;  ///< of BENCH_SERVE_FLOOR, pages a call
    uint64_t delay;      ///< of the store of BENCH_SERVE_DELAYED, nanoseconds
} bench_server_plan;

/// Maps and registers a region and starts a thread that serves it. NULL with `*error` set when that fails.
bench_server *bench_server_start(const bench_server_plan *plan, int *error);

/// The address of the region.
uintptr_t bench_server_base(const bench_server *server);

/// What BENCH_SERVE_FLOOR took to fill the region, nanoseconds for each page; 0 for the others.
double bench_server_floor(const bench_server *server);

/// Ends the serving, unmaps the region and says what was done.
void bench_server_stop(bench_server *server, bench_counters *counters);

#endif
