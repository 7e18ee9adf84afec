// A client that sends 64 bytes, waits for them to come back, checks them, and does so again.

#ifndef CBASELINE_ECHO_CLIENT_H
#define CBASELINE_ECHO_CLIENT_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_echo_client bench_echo_client;

/// Connects to 127.0.0.1:`port` and starts at once, on a thread of its own. `limit` is how many round trips are
/// recorded. NULL with `*error` set when that fails.
bench_echo_client *bench_echo_client_start(uint16_t port, int32_t cpu, size_t limit, int *error);

/// Ends the client after the round trip it is in. Returns 0, or the errno (EPROTO for wrong bytes) that ended it early.
int bench_echo_client_stop(bench_echo_client *client);

/// How many round trips were recorded, and the nanoseconds of each.
size_t bench_echo_client_count(const bench_echo_client *client);
void bench_echo_client_latencies(const bench_echo_client *client, uint64_t *into);

void bench_echo_client_destroy(bench_echo_client *client);

#endif
