#define _GNU_SOURCE
#include "mixed.h"
#include "uffd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { BATCH = 64, CONNECTION_BYTES = 4096, EVENTS = 16 };

/// What a descriptor in the epoll set is for. `pending` bytes of `buffer` are still to be sent.
typedef struct source {
    void (*ready)(bench_mixed *, struct source *);
    int descriptor;
    size_t pending, sent;
    struct source *next;
    unsigned char buffer[CONNECTION_BYTES];
} source;

struct bench_mixed {
    bench_mixed_plan plan;
    int poll, stopped;
    source *sources;
    source *faults, *stop;
    size_t page_size;
    uintptr_t base;
    uint16_t port;
    pthread_t thread;
    bench_counters counters;
    uint64_t due; // when the next tick not yet seen is due
    uint64_t *lateness;
    size_t ticks;
};

static int watch(bench_mixed *mixed, source *item, uint32_t interest, int operation) {
    struct epoll_event event = {.events = interest, .data.ptr = item};
    return epoll_ctl(mixed->poll, operation, item->descriptor, &event) == 0 ? 0 : errno;
}

static source *add(bench_mixed *mixed, int descriptor, void (*ready)(bench_mixed *, source *)) {
    source *item = calloc(1, sizeof *item);
    if (item == NULL) return NULL;
    item->descriptor = descriptor;
    item->ready = ready;
    item->next = mixed->sources;
    mixed->sources = item;
    return watch(mixed, item, EPOLLIN, EPOLL_CTL_ADD) == 0 ? item : NULL;
}

static void serve_faults(bench_mixed *mixed, source *item) {
    struct uffd_msg messages[BATCH];
    bench_counters *counters = &mixed->counters;
    counters->reads++;
    ssize_t bytes = read(item->descriptor, messages, sizeof messages);
    if (bytes <= 0) return;
    size_t count = (size_t)bytes / sizeof *messages;
    counters->messages += count;
    uintptr_t lowest = UINTPTR_MAX, highest = 0;
    for (size_t i = 0; i < count; i++) {
        uintptr_t page = (uintptr_t)messages[i].arg.pagefault.address & ~(mixed->page_size - 1);
        if (page < lowest) lowest = page;
        if (page > highest) highest = page;
        // A single one is woken by its copy; more are woken together.
        int error = bench_uffd_copy(
            item->descriptor, page, mixed->plan.source + (page - mixed->base), mixed->page_size, count > 1, counters);
        if (error != 0) counters->failures++;
    }
    if (count > 1) {
        bench_uffd_wake(item->descriptor, lowest, highest - lowest + mixed->page_size, counters);
    }
}

static void serve_connection(bench_mixed *mixed, source *item) {
    int waited = item->pending > 0;
    if (!waited) {
        ssize_t bytes = recv(item->descriptor, item->buffer, sizeof item->buffer, 0);
        if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (bytes <= 0) {
            epoll_ctl(mixed->poll, EPOLL_CTL_DEL, item->descriptor, NULL);
            return; // closed with the rest
        }
        item->pending = (size_t)bytes;
        item->sent = 0;
    }
    ssize_t bytes = send(item->descriptor, item->buffer + item->sent, item->pending, MSG_NOSIGNAL);
    if (bytes > 0) {
        item->sent += (size_t)bytes;
        item->pending -= (size_t)bytes;
    }
    if (item->pending > 0) {
        watch(mixed, item, EPOLLOUT, EPOLL_CTL_MOD);
    } else if (waited) {
        watch(mixed, item, EPOLLIN, EPOLL_CTL_MOD);
    }
}

static void serve_listener(bench_mixed *mixed, source *item) {
    int connection = accept4(item->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (connection < 0) return;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (add(mixed, connection, serve_connection) == NULL) close(connection);
}

static void serve_timer(bench_mixed *mixed, source *item) {
    uint64_t expirations = 0;
    if (read(item->descriptor, &expirations, sizeof expirations) != sizeof expirations) return;
    uint64_t now = bench_now();
    if (mixed->ticks < mixed->plan.lateness_limit) mixed->lateness[mixed->ticks++] = now - mixed->due;
    mixed->due += expirations * mixed->plan.interval;
}

static void serve_stop(bench_mixed *mixed, source *item) {
    (void)item;
    mixed->stopped = 1;
}

static void *run(void *argument) {
    bench_mixed *mixed = argument;
    bench_pin(mixed->plan.cpu);
    struct epoll_event events[EVENTS];
    while (!mixed->stopped) {
        mixed->counters.waits++;
        int ready = epoll_wait(mixed->poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            source *item = events[i].data.ptr;
            item->ready(mixed, item);
        }
    }
    return NULL;
}

static int listen_on_loopback(bench_mixed *mixed) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || add(mixed, listener, serve_listener) == NULL) return errno;
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 16) != 0) return errno;
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) return errno;
    mixed->port = ntohs(address.sin_port);
    return 0;
}

static int start_timer(bench_mixed *mixed) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timer < 0 || add(mixed, timer, serve_timer) == NULL) return errno;
    mixed->due = bench_now() + mixed->plan.interval;
    struct itimerspec times = {
        .it_value = {.tv_sec = (time_t)(mixed->due / 1000000000u), .tv_nsec = (long)(mixed->due % 1000000000u)},
        .it_interval = {.tv_sec = (time_t)(mixed->plan.interval / 1000000000u),
                        .tv_nsec = (long)(mixed->plan.interval % 1000000000u)}};
    return timerfd_settime(timer, TFD_TIMER_ABSTIME, &times, NULL) == 0 ? 0 : errno;
}

static int prepare(bench_mixed *mixed) {
    mixed->poll = epoll_create1(EPOLL_CLOEXEC);
    if (mixed->poll < 0) return errno;
    mixed->lateness = calloc(mixed->plan.lateness_limit, sizeof *mixed->lateness);
    if (mixed->lateness == NULL) return ENOMEM;
    memset(mixed->lateness, 1, mixed->plan.lateness_limit * sizeof *mixed->lateness);
    int access, descriptor = bench_uffd_open(1, &access);
    if (descriptor < 0) return -descriptor;
    mixed->faults = add(mixed, descriptor, serve_faults);
    if (mixed->faults == NULL) return errno;
    mixed->base = bench_uffd_map(descriptor, mixed->plan.byte_count);
    if (mixed->base == 0) return errno;
    int stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop < 0 || (mixed->stop = add(mixed, stop, serve_stop)) == NULL) return errno;
    int error = listen_on_loopback(mixed);
    return error != 0 ? error : start_timer(mixed);
}

bench_mixed *bench_mixed_start(const bench_mixed_plan *plan, int *error) {
    bench_mixed *mixed = calloc(1, sizeof *mixed);
    if (mixed == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    mixed->plan = *plan;
    mixed->poll = -1;
    mixed->page_size = (size_t)sysconf(_SC_PAGESIZE);
    *error = prepare(mixed);
    if (*error == 0) *error = pthread_create(&mixed->thread, NULL, run, mixed);
    if (*error == 0) return mixed;
    bench_mixed_destroy(mixed);
    return NULL;
}

uintptr_t bench_mixed_base(const bench_mixed *mixed) { return mixed->base; }
uint16_t bench_mixed_port(const bench_mixed *mixed) { return mixed->port; }
size_t bench_mixed_tick_count(const bench_mixed *mixed) { return mixed->ticks; }

void bench_mixed_lateness(const bench_mixed *mixed, uint64_t *into) {
    memcpy(into, mixed->lateness, mixed->ticks * sizeof *into);
}

void bench_mixed_stop(bench_mixed *mixed, bench_counters *counters) {
    eventfd_write(mixed->stop->descriptor, 1);
    pthread_join(mixed->thread, NULL);
    *counters = mixed->counters;
}

void bench_mixed_destroy(bench_mixed *mixed) {
    for (source *item = mixed->sources, *next; item != NULL; item = next) {
        next = item->next;
        close(item->descriptor);
        free(item);
    }
    if (mixed->base != 0) munmap((void *)mixed->base, mixed->plan.byte_count);
    if (mixed->poll >= 0) close(mixed->poll);
    free(mixed->lateness);
    free(mixed);
}
