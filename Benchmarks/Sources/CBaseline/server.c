#define _GNU_SOURCE
#include "server.h"
#include "sigbus.h"
#include "uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, AHEAD = 16 };

struct bench_server {
    bench_server_plan plan;
    int descriptor, poll, stop, file;
    size_t page_size;
    uintptr_t base;
    uintptr_t last_page;   // a page of our own: touching it ends a server that sleeps in read(2)
    unsigned char *buffer; // of one page, for pread(2)
    uint64_t *present;     // a bit for each page, for BENCH_SERVE_AHEAD
    double floor;          // nanoseconds for each page
    sem_t filled;          // posted when all is copied, for BENCH_SERVE_FLOOR
    pthread_t thread;
    bench_counters counters;
};

static int reads_blocking(const bench_server *server) {
    return server->plan.style == BENCH_SERVE_READ || server->plan.style == BENCH_SERVE_REMOTE;
}

static uintptr_t page_of(const bench_server *server, const struct uffd_msg *message) {
    return (uintptr_t)message->arg.pagefault.address & ~(server->page_size - 1);
}

/// Up to `capacity` messages; 0 when there are none.
static size_t take(bench_server *server, struct uffd_msg *messages, size_t capacity) {
    server->counters.reads++;
    ssize_t bytes = read(server->descriptor, messages, capacity * sizeof *messages);
    if (bytes < 0) {
        if (errno != EAGAIN && errno != EINTR) server->counters.failures++;
        return 0;
    }
    size_t count = (size_t)bytes / sizeof *messages;
    server->counters.messages += count;
    return count;
}

static void install(bench_server *server, uintptr_t page, uintptr_t source, int dont_wake) {
    int error = bench_uffd_copy(
        server->descriptor, page, source, server->page_size, dont_wake, &server->counters);
    if (__builtin_expect(error != 0, 0)) server->counters.failures++;
}

static void serve_read(bench_server *server) {
    struct uffd_msg message;
    for (;;) {
        if (take(server, &message, 1) == 0) continue;
        uintptr_t page = page_of(server, &message);
        if (__builtin_expect(page == server->last_page, 0)) {
            bench_counters ignored = {0};
            bench_uffd_copy(
                server->descriptor, page, server->plan.source, server->page_size, 0, &ignored);
            server->counters.messages--;
            server->counters.reads--;
            return;
        }
        uintptr_t source = server->plan.source + (page - server->base);
        if (server->plan.remote != NULL) {
            int error;
            source = bench_remote_read(server->plan.remote, page - server->base, server->page_size, &error);
            if (source == 0) {
                // The thread gets the wrong bytes rather than none, and the run fails.
                server->counters.failures++;
                source = server->plan.source;
            }
        }
        install(server, page, source, 0);
    }
}

static void serve_one(bench_server *server) {
    struct uffd_msg message;
    if (take(server, &message, 1) == 0) return;
    uintptr_t page = page_of(server, &message);
    install(server, page, server->plan.source + (page - server->base), 0);
}

static void serve_batch(bench_server *server, struct uffd_msg *messages) {
    size_t count = take(server, messages, BATCH);
    for (size_t i = 0; i < count; i++) {
        uintptr_t page = page_of(server, &messages[i]);
        install(server, page, server->plan.source + (page - server->base), 0);
    }
}

static void serve_merged(bench_server *server, struct uffd_msg *messages) {
    size_t count = take(server, messages, BATCH);
    if (count == 0) return;
    uintptr_t lowest = UINTPTR_MAX, highest = 0;
    for (size_t i = 0; i < count; i++) {
        uintptr_t page = page_of(server, &messages[i]);
        if (page < lowest) lowest = page;
        if (page > highest) highest = page;
        install(server, page, server->plan.source + (page - server->base), 1);
    }
    bench_uffd_wake(server->descriptor, lowest, highest - lowest + server->page_size, &server->counters);
}

static void serve_pread(bench_server *server) {
    struct uffd_msg message;
    if (take(server, &message, 1) == 0) return;
    uintptr_t page = page_of(server, &message);
    size_t done = 0;
    while (done < server->page_size) {
        ssize_t bytes = pread(
            server->file, server->buffer + done, server->page_size - done, (off_t)(page - server->base + done));
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0) server->counters.failures++;
        if (bytes <= 0) break;
        done += (size_t)bytes;
    }
    memset(server->buffer + done, 0, server->page_size - done); // behind the end of the file
    install(server, page, (uintptr_t)server->buffer, 0);
}

static void serve_delayed(bench_server *server) {
    struct uffd_msg message;
    if (take(server, &message, 1) == 0) return;
    struct timespec rest = {.tv_nsec = (long)server->plan.delay};
    while (nanosleep(&rest, &rest) != 0) {}
    uintptr_t page = page_of(server, &message);
    install(server, page, server->plan.source + (page - server->base), 0);
}

static void serve_busy(bench_server *server) {
    struct uffd_msg message;
    if (take(server, &message, 1) == 0) return;
    bench_work(server->plan.work);
    uintptr_t page = page_of(server, &message);
    install(server, page, server->plan.source + (page - server->base), 0);
}

static int is_present(const bench_server *server, size_t page) {
    return server->present[page / 64] >> page % 64 & 1;
}

static void serve_ahead(bench_server *server, struct uffd_msg *messages) {
    size_t count = take(server, messages, BATCH), pages = server->plan.byte_count / server->page_size;
    if (count == 0) return;
    uintptr_t lowest = UINTPTR_MAX, highest = 0;
    for (size_t i = 0; i < count; i++) {
        uintptr_t address = page_of(server, &messages[i]);
        if (address < lowest) lowest = address;
        if (address > highest) highest = address;
        size_t first = (address - server->base) / server->page_size, end = first;
        while (end < pages && end - first < AHEAD && !is_present(server, end)) end++;
        if (end == first) continue;
        uintptr_t source = server->plan.source + (address - server->base);
        int error = bench_uffd_copy(
            server->descriptor, address, source, (end - first) * server->page_size, 1, &server->counters);
        if (__builtin_expect(error != 0, 0)) server->counters.failures++;
        for (size_t page = first; page < end; page++) server->present[page / 64] |= 1ull << page % 64;
    }
    bench_uffd_wake(server->descriptor, lowest, highest - lowest + server->page_size, &server->counters);
}

static void fill(bench_server *server) {
    size_t done = 0, piece = server->plan.floor_pages * server->page_size;
    uint64_t began = bench_now();
    while (done < server->plan.byte_count) {
        size_t length = server->plan.byte_count - done;
        if (length > piece) length = piece;
        int error = bench_uffd_copy(
            server->descriptor, server->base + done, server->plan.source + done, length, 0, &server->counters);
        if (error != 0) server->counters.failures++;
        done += length;
    }
    server->floor = (double)(bench_now() - began) / (double)(server->plan.byte_count / server->page_size);
}

static void serve_polling(bench_server *server) {
    struct uffd_msg messages[BATCH];
    struct epoll_event events[2];
    for (;;) {
        server->counters.waits++;
        int ready = epoll_wait(server->poll, events, 2, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == server->stop) return;
            switch (server->plan.style) {
            case BENCH_SERVE_BATCH: serve_batch(server, messages); break;
            case BENCH_SERVE_MERGED: serve_merged(server, messages); break;
            case BENCH_SERVE_PREAD: serve_pread(server); break;
            case BENCH_SERVE_BUSY: serve_busy(server); break;
            case BENCH_SERVE_DELAYED: serve_delayed(server); break;
            case BENCH_SERVE_AHEAD: serve_ahead(server, messages); break;
            default: serve_one(server); break;
            }
        }
    }
}

static void *run(void *argument) {
    bench_server *server = argument;
    bench_pin(server->plan.cpu);
    // Without it every sleep lasts some 50 µs longer: the comparison is to be with a store that answers in time.
    if (server->plan.style == BENCH_SERVE_DELAYED) prctl(PR_SET_TIMERSLACK, 1);
    if (server->plan.style == BENCH_SERVE_FLOOR) {
        fill(server);
        sem_post(&server->filled);
    }
    if (reads_blocking(server)) {
        serve_read(server);
    } else {
        serve_polling(server);
    }
    return NULL;
}

static void dispose(bench_server *server) {
    if (server->descriptor >= 0) close(server->descriptor);
    if (server->poll >= 0) close(server->poll);
    if (server->stop >= 0) close(server->stop);
    if (server->file >= 0) close(server->file);
    if (server->base != 0) munmap((void *)server->base, server->plan.byte_count);
    if (server->last_page != 0) munmap((void *)server->last_page, server->page_size);
    if (server->plan.remote != NULL) bench_remote_close(server->plan.remote);
    sem_destroy(&server->filled);
    free(server->buffer);
    free(server->present);
    free(server);
}

static int prepare(bench_server *server) {
    const bench_server_plan *plan = &server->plan;
    int blocking = reads_blocking(server), in_thread = plan->style == BENCH_SERVE_SIGBUS, access;
    server->descriptor = bench_uffd_open_with(!blocking, in_thread ? UFFD_FEATURE_SIGBUS : 0, &access);
    if (server->descriptor < 0) return -server->descriptor;
    server->base = bench_uffd_map(server->descriptor, plan->byte_count);
    server->last_page = bench_uffd_map(server->descriptor, server->page_size);
    if (server->base == 0 || server->last_page == 0) return errno;
    if (plan->style == BENCH_SERVE_PREAD) {
        server->file = open(plan->path, O_RDONLY | O_CLOEXEC);
        server->buffer = malloc(server->page_size);
        if (server->file < 0 || server->buffer == NULL) return errno;
    }
    if (plan->style == BENCH_SERVE_AHEAD) {
        server->present = calloc(plan->byte_count / server->page_size / 64 + 1, sizeof *server->present);
        if (server->present == NULL) return ENOMEM;
    }
    if (in_thread) {
        return bench_sigbus_begin(
            server->descriptor, server->base, plan->source, plan->byte_count, server->page_size, &server->counters);
    }
    if (blocking) return 0;
    server->poll = epoll_create1(EPOLL_CLOEXEC);
    server->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->poll < 0 || server->stop < 0) return errno;
    struct epoll_event faults = {.events = EPOLLIN, .data.fd = server->descriptor};
    struct epoll_event stop = {.events = EPOLLIN, .data.fd = server->stop};
    if (epoll_ctl(server->poll, EPOLL_CTL_ADD, server->descriptor, &faults) != 0) return errno;
    return epoll_ctl(server->poll, EPOLL_CTL_ADD, server->stop, &stop) == 0 ? 0 : errno;
}

bench_server *bench_server_start(const bench_server_plan *plan, int *error) {
    bench_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    server->plan = *plan;
    server->descriptor = server->poll = server->stop = server->file = -1;
    sem_init(&server->filled, 0, 0);
    server->page_size = (size_t)sysconf(_SC_PAGESIZE);
    *error = prepare(server);
    if (*error == 0 && plan->style != BENCH_SERVE_SIGBUS) {
        *error = pthread_create(&server->thread, NULL, run, server);
    }
    if (*error == 0) {
        // Whoever touched pages meanwhile would be woken by each copy.
        while (plan->style == BENCH_SERVE_FLOOR && sem_wait(&server->filled) != 0) {}
        return server;
    }
    dispose(server);
    return NULL;
}

uintptr_t bench_server_base(const bench_server *server) { return server->base; }

double bench_server_floor(const bench_server *server) { return server->floor; }

void bench_server_stop(bench_server *server, bench_counters *counters) {
    if (server->plan.style == BENCH_SERVE_SIGBUS) {
        bench_sigbus_end();
    } else {
        if (reads_blocking(server)) {
            (void)*(volatile unsigned char *)server->last_page;
        } else {
            eventfd_write(server->stop, 1);
        }
        pthread_join(server->thread, NULL);
    }
    *counters = server->counters;
    dispose(server);
}
