#define _GNU_SOURCE
#include "keyvalue_requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// So many requests are on their way at a time.
enum { WINDOW = 64 };

typedef int (*send_one)(const bench_kv_plan *plan, kv_connection *connection, uint32_t index, unsigned char *space);
typedef int (*take_one)(const bench_kv_plan *plan, kv_connection *connection, uint32_t index, void *context);

// One request for each index below `count`, and its reply.
static int pipeline(
    const bench_kv_plan *plan, kv_connection *connection, uint32_t count, send_one send, take_one take, void *context) {
    unsigned char *space = malloc(KV_HEAD_BYTES + plan->value_bytes);
    int error = space == NULL ? ENOMEM : 0;
    uint32_t sent = 0, taken = 0;
    while (error == 0 && taken < count) {
        while (error == 0 && sent < count && sent - taken < WINDOW) error = send(plan, connection, sent++, space);
        while (error == 0 && taken < sent) error = take(plan, connection, taken++, context);
    }
    free(space);
    return error;
}

static int connected(const bench_kv_plan *plan, int (*body)(const bench_kv_plan *, kv_connection *, void *), void *context) {
    kv_connection *connection = malloc(sizeof *connection);
    if (connection == NULL) return ENOMEM;
    int error = kv_connect(connection, plan->path, 1, plan->server);
    if (error == 0) error = body(plan, connection, context);
    if (connection->socket >= 0) close(connection->socket);
    free(connection);
    return error;
}

static int send_initial(const bench_kv_plan *plan, kv_connection *connection, uint32_t key, unsigned char *space) {
    return kv_send(connection, space, kv_write_set(plan, key, 0, space));
}

static int take_initial(const bench_kv_plan *plan, kv_connection *connection, uint32_t key, void *context) {
    (void)plan, (void)key, (void)context;
    return kv_take_ok(connection);
}

static int populate(const bench_kv_plan *plan, kv_connection *connection, void *context) {
    return pipeline(plan, connection, plan->keys, send_initial, take_initial, context);
}

int bench_kv_populate(const bench_kv_plan *plan) { return connected(plan, populate, NULL); }

static int send_get(const bench_kv_plan *plan, kv_connection *connection, uint32_t index, unsigned char *space) {
    return kv_send(connection, space, kv_write_get(kv_own_key(plan, index), space));
}

// Each value must be what the request it names has written; which requests there are is looked at afterwards.
static int take_number(const bench_kv_plan *plan, kv_connection *connection, uint32_t index, void *context) {
    uint64_t *numbers = context, found[plan->value_bytes / 8], expected[plan->value_bytes / 8];
    int error = kv_take_value(connection, plan, found);
    if (error != 0) return error;
    numbers[index] = found[0];
    kv_value(plan, kv_own_key(plan, index), found[0], expected);
    return memcmp(found, expected, sizeof found) == 0 ? 0 : EPROTO;
}

static int read_numbers(const bench_kv_plan *plan, kv_connection *connection, void *context) {
    return pipeline(plan, connection, kv_own_keys(plan), send_get, take_number, context);
}

int bench_kv_verify(const bench_kv_plan *plan, uint64_t low, uint64_t high, uint64_t *request) {
    uint32_t count = kv_own_keys(plan);
    uint64_t *found = calloc(count, sizeof *found), *expected = calloc(count, sizeof *expected), last = 0;
    int error = found == NULL || expected == NULL ? ENOMEM : connected(plan, read_numbers, found);
    for (uint32_t index = 0; error == 0 && index < count; index++)
        if (found[index] > last) last = found[index];
    if (error == 0 && last > high) error = EPROTO;
    // Requests that have read, and those that nothing is left of, tell nothing.
    for (uint64_t number = 1; error == 0 && number <= (last > low ? last : low); number++) {
        kv_request what = kv_request_at(plan, number);
        if (what.is_write) expected[what.key / plan->clients] = number;
    }
    if (error == 0 && memcmp(found, expected, count * sizeof *found) != 0) error = EPROTO;
    free(found);
    free(expected);
    *request = last;
    return error;
}
