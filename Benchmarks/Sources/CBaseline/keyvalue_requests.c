#define _GNU_SOURCE
#include "keyvalue_requests.h"
#include "counters.h"
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const uint64_t patience = 120000000000u;

static uint64_t mixed(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

int kv_connect(kv_connection *connection, const char *path, int patient, int server) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return ENAMETOOLONG;
    strcpy(address.sun_path, path);
    // A server that never answers ends the measurement, not the patience of whoever runs it.
    struct timeval limit = {.tv_sec = 60};
    uint64_t end = bench_now() + patience;
    connection->start = connection->end = 0;
    connection->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->socket < 0) return errno;
    setsockopt(connection->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    while (connect(connection->socket, (struct sockaddr *)&address, sizeof address) != 0) {
        if (!patient || (errno != ENOENT && errno != ECONNREFUSED && errno != EINTR && errno != EAGAIN)) return errno;
        if (server > 0 && bench_program_has_exited(server)) return ECHILD;
        if (bench_now() > end) return ETIMEDOUT;
        usleep(200);
    }
    return 0;
}

int kv_send(kv_connection *connection, const void *bytes, size_t count) {
    for (size_t sent = 0; sent < count;) {
        ssize_t part = send(connection->socket, (const char *)bytes + sent, count - sent, MSG_NOSIGNAL);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) return errno;
        sent += (size_t)part;
    }
    return 0;
}

static int fill(kv_connection *connection) {
    if (connection->start == connection->end) connection->start = connection->end = 0;
    if (connection->end == sizeof connection->buffer) {
        memmove(connection->buffer, connection->buffer + connection->start, connection->end - connection->start);
        connection->end -= connection->start;
        connection->start = 0;
        if (connection->end == sizeof connection->buffer) return EPROTO;
    }
    for (;;) {
        ssize_t count = recv(
            connection->socket, connection->buffer + connection->end, sizeof connection->buffer - connection->end, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
        if (count == 0) return ECONNRESET;
        connection->end += (size_t)count;
        return 0;
    }
}

int kv_receive(kv_connection *connection, void *into, size_t count) {
    for (size_t done = 0; done < count;) {
        size_t there = connection->end - connection->start, part = there < count - done ? there : count - done;
        memcpy((char *)into + done, connection->buffer + connection->start, part);
        connection->start += part;
        done += part;
        int error = done < count ? fill(connection) : 0;
        if (error != 0) return error;
    }
    return 0;
}

int kv_line(kv_connection *connection, char *line, size_t size) {
    for (size_t length = 0; length < size; length++) {
        int error = kv_receive(connection, line + length, 1);
        if (error != 0) return error;
        if (line[length] == '\n') {
            line[length > 0 ? length - 1 : 0] = 0;
            return 0;
        }
    }
    return EPROTO;
}

kv_request kv_request_at(const bench_kv_plan *plan, uint64_t number) {
    uint64_t random = mixed(plan->seed + plan->client * 0x632be59bd9b4e019u + number * 0x9e3779b97f4a7c15u);
    return (kv_request){
        kv_own_key(plan, (uint32_t)(random % kv_own_keys(plan))), (random >> 32) % 100 < plan->write_percent};
}

uint32_t kv_own_keys(const bench_kv_plan *plan) {
    return (plan->keys - plan->client + plan->clients - 1) / plan->clients;
}

uint32_t kv_own_key(const bench_kv_plan *plan, uint32_t index) { return index * plan->clients + plan->client; }

void kv_value(const bench_kv_plan *plan, uint32_t key, uint64_t number, uint64_t *words) {
    uint64_t state = mixed(((uint64_t)key << 32) ^ number) | 1;
    words[0] = number;
    for (size_t i = 1; i < plan->value_bytes / 8; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words[i] = state;
    }
}

size_t kv_write_set(const bench_kv_plan *plan, uint32_t key, uint64_t number, unsigned char *into) {
    int head = snprintf((char *)into, KV_HEAD_BYTES, "*3\r\n$3\r\nSET\r\n$%d\r\nkey:%08x\r\n$%u\r\n", KV_KEY_BYTES, key,
        plan->value_bytes);
    uint64_t words[plan->value_bytes / 8];
    kv_value(plan, key, number, words);
    memcpy(into + head, words, sizeof words);
    memcpy(into + head + sizeof words, "\r\n", 2);
    return (size_t)head + sizeof words + 2;
}

size_t kv_write_get(uint32_t key, unsigned char *into) {
    return (size_t)snprintf((char *)into, KV_HEAD_BYTES, "*2\r\n$3\r\nGET\r\n$%d\r\nkey:%08x\r\n", KV_KEY_BYTES, key);
}

int kv_take_ok(kv_connection *connection) {
    char reply[5];
    int error = kv_receive(connection, reply, sizeof reply);
    return error != 0 ? error : memcmp(reply, "+OK\r\n", sizeof reply) == 0 ? 0 : EPROTO;
}

int kv_take_value(kv_connection *connection, const bench_kv_plan *plan, uint64_t *words) {
    char line[KV_HEAD_BYTES];
    int error = kv_line(connection, line, sizeof line);
    if (error != 0) return error;
    if (line[0] != '$' || strtoul(line + 1, NULL, 10) != plan->value_bytes) return EPROTO;
    error = kv_receive(connection, words, plan->value_bytes);
    if (error == 0) error = kv_receive(connection, line, 2);
    return error;
}

int bench_kv_call(const char *path, const char *line, char *reply, size_t size) {
    kv_connection *connection = malloc(sizeof *connection);
    char head[512];
    if (connection == NULL) return ENOMEM;
    int error = kv_connect(connection, path, 0, 0);
    if (error == 0) error = kv_send(connection, line, strlen(line));
    if (error == 0) error = kv_send(connection, "\r\n", 2);
    if (error == 0) error = kv_line(connection, head, sizeof head);
    if (error == 0 && head[0] == '$') {
        size_t length = strtoul(head + 1, NULL, 10);
        error = length < size ? kv_receive(connection, reply, length) : EMSGSIZE;
        if (error == 0) reply[length] = 0;
    } else if (error == 0) {
        snprintf(reply, size, "%s", head);
    }
    if (connection->socket >= 0) close(connection->socket);
    free(connection);
    return error;
}
