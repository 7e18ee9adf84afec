#define _GNU_SOURCE
#include "echo_client.h"
#include "counters.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 64 };

struct bench_echo_client {
    int socket;
    int32_t cpu;
    size_t limit, count;
    uint64_t *latencies;
    pthread_t thread;
    _Atomic int stopping;
    int error;
};

static int round_trip(int socket, unsigned char *message) {
    unsigned char reply[MESSAGE_BYTES];
    size_t done = 0;
    if (send(socket, message, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES) return errno;
    while (done < MESSAGE_BYTES) {
        ssize_t bytes = recv(socket, reply + done, MESSAGE_BYTES - done, 0);
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0) return errno;
        if (bytes == 0) return ECONNRESET;
        done += (size_t)bytes;
    }
    return memcmp(reply, message, MESSAGE_BYTES) == 0 ? 0 : EPROTO;
}

static void *run(void *argument) {
    bench_echo_client *client = argument;
    bench_pin(client->cpu);
    unsigned char message[MESSAGE_BYTES] = {0};
    for (uint64_t number = 0; !atomic_load_explicit(&client->stopping, memory_order_relaxed); number++) {
        memcpy(message, &number, sizeof number);
        uint64_t before = bench_now();
        client->error = round_trip(client->socket, message);
        if (client->error != 0) break;
        if (client->count < client->limit) client->latencies[client->count++] = bench_now() - before;
    }
    return NULL;
}

static int prepare(bench_echo_client *client, uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->socket < 0) return errno;
    if (connect(client->socket, (struct sockaddr *)&address, sizeof address) != 0) return errno;
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // A server that never answers ends the measurement, not the patience of whoever runs it.
    struct timeval patience = {.tv_sec = 30};
    setsockopt(client->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    client->latencies = malloc(client->limit * sizeof *client->latencies);
    if (client->latencies == NULL) return ENOMEM;
    memset(client->latencies, 1, client->limit * sizeof *client->latencies);
    return 0;
}

bench_echo_client *bench_echo_client_start(uint16_t port, int32_t cpu, size_t limit, int *error) {
    bench_echo_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    client->cpu = cpu;
    client->socket = -1;
    client->limit = limit;
    *error = prepare(client, port);
    if (*error == 0) *error = pthread_create(&client->thread, NULL, run, client);
    if (*error == 0) return client;
    bench_echo_client_destroy(client);
    return NULL;
}

int bench_echo_client_stop(bench_echo_client *client) {
    atomic_store(&client->stopping, 1);
    pthread_join(client->thread, NULL);
    return client->error;
}

size_t bench_echo_client_count(const bench_echo_client *client) { return client->count; }

void bench_echo_client_latencies(const bench_echo_client *client, uint64_t *into) {
    memcpy(into, client->latencies, client->count * sizeof *into);
}

void bench_echo_client_destroy(bench_echo_client *client) {
    if (client->socket >= 0) close(client->socket);
    free(client->latencies);
    free(client);
}
