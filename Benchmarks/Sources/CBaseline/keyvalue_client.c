#define _GNU_SOURCE
#include "counters.h"
#include "keyvalue_requests.h"
#include "snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bench_kv_client {
    bench_kv_plan plan;
    kv_connection connection;
    uint64_t *written; // by key of this client: the last request that has set it
    unsigned char *space;
    pthread_t thread;
    int joined, running;
    _Atomic int stopping, recording, error;
    _Atomic uint64_t replies;
    uint64_t first, longest;
    uint64_t histogram[BENCH_HISTOGRAM_BUCKETS];
    uint32_t intervals[BENCH_KV_INTERVALS];
};

static int ask(bench_kv_client *client, uint64_t number) {
    const bench_kv_plan *plan = &client->plan;
    kv_connection *connection = &client->connection;
    kv_request what = kv_request_at(plan, number);
    uint64_t *written = &client->written[what.key / plan->clients];
    size_t length = what.is_write ? kv_write_set(plan, what.key, number, client->space)
                                  : kv_write_get(what.key, client->space);
    uint64_t found[plan->value_bytes / 8], expected[plan->value_bytes / 8], before = bench_now();
    int error = kv_send(connection, client->space, length);
    if (error == 0) error = what.is_write ? kv_take_ok(connection) : kv_take_value(connection, plan, found);
    if (error != 0) return error;
    uint64_t now = bench_now(), time = now - before, interval = (now - plan->origin) / BENCH_KV_INTERVAL;
    if (client->first == 0) client->first = now - plan->origin;
    if (interval < BENCH_KV_INTERVALS) client->intervals[interval]++;
    if (atomic_load_explicit(&client->recording, memory_order_relaxed)) {
        client->histogram[bench_histogram_bucket(time)]++;
        if (time > client->longest) client->longest = time;
    }
    if (what.is_write) {
        *written = number;
        return 0;
    }
    kv_value(plan, what.key, *written, expected);
    return memcmp(found, expected, sizeof found) == 0 ? 0 : EPROTO;
}

static void *run(void *argument) {
    bench_kv_client *client = argument;
    int error = kv_connect(&client->connection, client->plan.path, 1, client->plan.server);
    for (uint64_t number = 1; error == 0 && !atomic_load_explicit(&client->stopping, memory_order_relaxed); number++) {
        error = ask(client, number);
        if (error == 0) atomic_store_explicit(&client->replies, number, memory_order_release);
    }
    atomic_store(&client->error, error);
    return NULL;
}

bench_kv_client *bench_kv_client_start(const bench_kv_plan *plan, int *error) {
    bench_kv_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    client->plan = *plan;
    client->connection.socket = -1;
    client->plan.path = strdup(plan->path);
    client->written = calloc(kv_own_keys(plan), sizeof *client->written);
    client->space = malloc(KV_HEAD_BYTES + plan->value_bytes);
    *error = client->plan.path == NULL || client->written == NULL || client->space == NULL ? ENOMEM : 0;
    if (*error == 0) *error = pthread_create(&client->thread, NULL, run, client);
    if (*error == 0) {
        client->running = 1;
        return client;
    }
    bench_kv_client_destroy(client);
    return NULL;
}

uint64_t bench_kv_client_replies(const bench_kv_client *client) {
    return atomic_load_explicit(&client->replies, memory_order_acquire);
}

int bench_kv_client_wait(const bench_kv_client *client, uint64_t replies) {
    uint64_t end = bench_now() + 120000000000u, goal = bench_kv_client_replies(client) + replies;
    while (bench_kv_client_replies(client) < goal) {
        int error = atomic_load(&client->error);
        if (error != 0) return error;
        if (bench_now() > end) return ETIMEDOUT;
        usleep(500);
    }
    return 0;
}

void bench_kv_client_record(bench_kv_client *client, int on) { atomic_store(&client->recording, on); }

int bench_kv_client_stop(bench_kv_client *client) {
    atomic_store(&client->stopping, 1);
    if (client->running && !client->joined) pthread_join(client->thread, NULL);
    client->joined = 1;
    return atomic_load(&client->error);
}

uint64_t bench_kv_client_first(const bench_kv_client *client) { return client->first; }

void bench_kv_client_histogram(const bench_kv_client *client, uint64_t *into) {
    memcpy(into, client->histogram, sizeof client->histogram);
}

uint64_t bench_kv_client_longest(const bench_kv_client *client) { return client->longest; }

void bench_kv_client_intervals(const bench_kv_client *client, uint32_t *into) {
    memcpy(into, client->intervals, sizeof client->intervals);
}

void bench_kv_client_destroy(bench_kv_client *client) {
    bench_kv_client_stop(client);
    if (client->connection.socket >= 0) close(client->connection.socket);
    free((void *)(uintptr_t)client->plan.path);
    free(client->written);
    free(client->space);
    free(client);
}
