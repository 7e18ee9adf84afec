// What the files of the client share: connections, requests, and what values are.

#ifndef CBASELINE_KEYVALUE_REQUESTS_H
#define CBASELINE_KEYVALUE_REQUESTS_H

#include "keyvalue.h"

enum { KV_KEY_BYTES = 12, KV_HEAD_BYTES = 96, KV_BUFFER_BYTES = 1 << 16 };

/// A connection, with what has been received of it and not been taken.
typedef struct {
    int socket;
    size_t start, end;
    unsigned char buffer[KV_BUFFER_BYTES];
} kv_connection;

/// What a request of a client is about.
typedef struct {
    uint32_t key;
    int is_write;
} kv_request;

/// Connects; tries again while nobody listens if `patient`, until the plan's server has exited or two minutes are over.
int kv_connect(kv_connection *connection, const char *path, int patient, int server);
int kv_send(kv_connection *connection, const void *bytes, size_t count);
/// Gets `count` bytes to `into`.
int kv_receive(kv_connection *connection, void *into, size_t count);
/// Gets a line, without its end, with a zero byte behind it.
int kv_line(kv_connection *connection, char *line, size_t size);

/// The request of a number, from 1 on.
kv_request kv_request_at(const bench_kv_plan *plan, uint64_t number);
/// Keys that belong to the plan's client: the index-th of them.
uint32_t kv_own_keys(const bench_kv_plan *plan);
uint32_t kv_own_key(const bench_kv_plan *plan, uint32_t index);

/// What a request has set a key to; the first word is the number. 0 is what it was populated with.
void kv_value(const bench_kv_plan *plan, uint32_t key, uint64_t number, uint64_t *words);
/// Writes a SET to `into`, which has room for KV_HEAD_BYTES and the value. Returns its length.
size_t kv_write_set(const bench_kv_plan *plan, uint32_t key, uint64_t number, unsigned char *into);
size_t kv_write_get(uint32_t key, unsigned char *into);
/// Takes the reply to a SET, and to a GET.
int kv_take_ok(kv_connection *connection);
int kv_take_value(kv_connection *connection, const bench_kv_plan *plan, uint64_t *words);

#endif
