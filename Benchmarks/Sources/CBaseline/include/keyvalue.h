// A client of a server that speaks the protocol of Redis: keys at random, one request at a time, values that follow from
// the number of the request that set them, so that every reply and every image can be checked.

#ifndef CBASELINE_KEYVALUE_H
#define CBASELINE_KEYVALUE_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_kv_client bench_kv_client;

/// How many intervals of BENCH_KV_INTERVAL nanoseconds are counted.
enum { BENCH_KV_INTERVALS = 12000, BENCH_KV_INTERVAL = 10000000 };

typedef struct {
    const char *path;       ///< the server's socket; read while a function runs, and by a client when it starts
    uint32_t keys;          ///< of all clients together
    uint32_t value_bytes;   ///< a multiple of 8, at least 16
    uint32_t client;        ///< the number of the client, who has every `clients`-th key for itself
    uint32_t clients;
    uint32_t write_percent; ///< the share of SET, of the requests
    uint64_t seed;
    uint64_t origin;        ///< what times are counted from, by `bench_now`
    int server;             ///< a program that is expected to answer, or 0: when it has exited nobody is waited for
} bench_kv_plan;

/// Sets every key as it is before the first request. Returns 0 or an errno (EPROTO for a reply that is wrong).
int bench_kv_populate(const bench_kv_plan *plan);

/// Reads every key of the client, and checks that they are as after one of the requests from `low` to `high`. Returns 0,
/// EPROTO when they are not, or another errno. `*request` gets which one it was.
int bench_kv_verify(const bench_kv_plan *plan, uint64_t low, uint64_t high, uint64_t *request);

/// Sends one line, and copies the first `size` bytes of the reply, and a zero byte at most, to `reply`. Returns 0 or an errno.
int bench_kv_call(const char *path, const char *line, char *reply, size_t size);

/// Starts a thread that connects as soon as somebody listens, and sends one request after the other.
bench_kv_client *bench_kv_client_start(const bench_kv_plan *plan, int *error);

/// Waits for so many replies more. Returns 0, ETIMEDOUT after two minutes, or what has ended the client.
int bench_kv_client_wait(const bench_kv_client *client, uint64_t replies);

/// How many replies have come.
uint64_t bench_kv_client_replies(const bench_kv_client *client);

/// Begins or ends the recording of times.
void bench_kv_client_record(bench_kv_client *client, int on);

/// Ends the client after the request it is in. Returns 0, or what ended it early. After this the results can be read.
int bench_kv_client_stop(bench_kv_client *client);

/// Nanoseconds from the origin to the first reply.
uint64_t bench_kv_client_first(const bench_kv_client *client);

/// Recorded times of requests, in the buckets of snapshot.h; the longest; and replies in each interval from the origin on.
void bench_kv_client_histogram(const bench_kv_client *client, uint64_t *into);
uint64_t bench_kv_client_longest(const bench_kv_client *client);
void bench_kv_client_intervals(const bench_kv_client *client, uint32_t *into);

void bench_kv_client_destroy(bench_kv_client *client);

#endif
