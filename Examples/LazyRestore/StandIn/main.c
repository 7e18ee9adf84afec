// Stands in for a virtual machine monitor that resumes a snapshot (Firecracker's backend "Uffd"): makes guest memory,
// registers it, sends a description of it and the userfaultfd over a UNIX-domain socket, and runs threads that
// touch the memory, as a guest would. Every word of the image follows from where it is, so that all can be checked.
//
// With --count each thread touches so many pages of each region that nobody else touches, at random; with --gate it has one page
// first, says so on standard output, and begins when standard input ends. At the end it tells when it began and ended
// (CLOCK_MONOTONIC, nanoseconds), and how long touches took.
//
// Ends with status 0 when all that was touched was right; 1: wrong contents; 2: it could not be set up; 3: the arguments.

#define _GNU_SOURCE
#include "options.h"
#include "touches.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct region {
    uint8_t *start;
    uint64_t size, offset;
};

static struct region regions[most_regions];
static uint64_t wrong;

static void fail(const char *what) {
    fprintf(stderr, "monitor-stand-in: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t mixed(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

// The word at an offset of the image, never zero.
static uint64_t word(uint64_t offset) { return mixed(offset + 0x9e3779b97f4a7c15u) | 1; }

static int make_image(const char *path, uint64_t size) {
    FILE *file = fopen(path, "wb");
    if (!file) fail(path);
    for (uint64_t offset = 0; offset < size; offset += 8) {
        uint64_t value = word(offset);
        if (fwrite(&value, 8, 1, file) != 1) fail(path);
    }
    if (fclose(file) != 0) fail(path);
    return 0;
}

static void map_memory(int uffd) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (options.page_size > 4096 ? MAP_HUGETLB : 0);
    uint64_t total = options.mib << 20, each = total / options.regions / options.page_size * options.page_size;
    for (uint64_t index = 0; index < options.regions; index++) {
        struct region *region = &regions[index];
        region->offset = index * each;
        region->size = index + 1 == options.regions ? total - region->offset : each;
        void *start = mmap(NULL, region->size, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (start == MAP_FAILED) fail("mmap");
        region->start = start;
        struct uffdio_register request = {
            .range = {.start = (uint64_t)(uintptr_t)start, .len = region->size}, .mode = UFFDIO_REGISTER_MODE_MISSING};
        if (ioctl(uffd, UFFDIO_REGISTER, &request) != 0) fail("UFFDIO_REGISTER");
    }
}

static int open_userfaultfd(void) {
    int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    // Who may not serve the kernel's own accesses may serve those of programs; there are no others here.
    if (uffd < 0 && errno == EPERM) uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (uffd < 0) fail("userfaultfd");
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE};
    if (ioctl(uffd, UFFDIO_API, &api) != 0) fail("UFFDIO_API");
    return uffd;
}

static char *describe(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) fail("open_memstream");
    fputc('[', out);
    for (uint64_t count = 0; count < options.regions; count++) {
        const struct region *region = &regions[options.descending ? options.regions - 1 - count : count];
        fprintf(out, "%s{\"base_host_virt_addr\":%llu,\"size\":%llu,\"offset\":%llu,", count ? "," : "",
            (unsigned long long)(uintptr_t)region->start, (unsigned long long)region->size,
            (unsigned long long)region->offset);
        if (!options.old_field) fprintf(out, "\"page_size\":%llu,", (unsigned long long)options.page_size);
        fprintf(out, "\"page_size_kib\":%llu}", (unsigned long long)options.page_size);
        for (uint64_t space = 0; space < options.padding; space++) fputc(' ', out);
    }
    fputc(']', out);
    if (fclose(out) != 0) fail("fclose");
    return text;
}

static void send_part(int to, const char *bytes, size_t size, int descriptor) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
    }
    if (sendmsg(to, &message, MSG_NOSIGNAL) != (ssize_t)size) fail("sendmsg");
}

static int hand_over(int uffd) {
    int to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (to < 0 || strlen(options.socket) >= sizeof(address.sun_path)) fail("socket");
    strcpy(address.sun_path, options.socket);
    if (connect(to, (struct sockaddr *)&address, sizeof(address)) != 0) fail(options.socket);
    char *text = describe();
    size_t size = strlen(text), step = options.split ? options.split : size, end = options.half ? size / 2 : size;
    for (size_t at = 0; at < end; at += step) {
        size_t count = end - at < step ? end - at : step;
        send_part(to, text + at, count, at == 0 && options.descriptor ? uffd : -1);
    }
    free(text);
    return to;
}

static void check(uint64_t found, uint64_t expected, const uint8_t *at) {
    if (found == expected) return;
    if (__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED) < 4)
        fprintf(stderr, "monitor-stand-in: %016llx at %p, not %016llx\n", (unsigned long long)found, (const void *)at,
            (unsigned long long)expected);
}

struct job {
    uint64_t number, touched, *times;
};

// How many pages of a region each thread touches.
static uint64_t pages_to_touch(const struct region *region) {
    uint64_t pages = region->size / options.page_size, own = pages / options.threads;
    if (options.count) return options.count < own ? options.count : own;
    return (pages * options.percent + 99) / 100;
}

// Reads a page whole.
static void touch(const struct region *region, uint64_t page) {
    const uint8_t *start = region->start + page * options.page_size;
    for (uint64_t byte = 0; byte < options.page_size; byte += 8)
        check(*(volatile const uint64_t *)(const void *)(start + byte),
            word(region->offset + page * options.page_size + byte), start + byte);
}

// Touches a share of the pages of each region.
static void *guest(void *argument) {
    struct job *job = argument;
    for (uint64_t index = 0; index < options.regions; index++) {
        const struct region *region = &regions[index];
        uint64_t pages = region->size / options.page_size, count = pages_to_touch(region);
        for (uint64_t number = 0; number < count; number++) {
            uint64_t page = options.count
                ? scattered(number * options.threads + job->number, pages, options.seed)
                : scattered(number, pages, options.seed + job->number);
            uint64_t before = now();
            touch(region, page);
            job->times[job->touched++] = now() - before;
        }
    }
    return NULL;
}

// A balloon takes the first half of each region away, and what is there afterwards is zero, not the image.
static void inflate(void) {
    for (uint64_t index = 0; index < options.regions; index++) {
        const struct region *region = &regions[index];
        uint64_t size = region->size / 2 / options.page_size * options.page_size;
        if (madvise(region->start, size, MADV_DONTNEED) != 0) fail("madvise");
        for (uint64_t byte = 0; byte < size; byte += 512)
            check(*(volatile uint64_t *)(void *)(region->start + byte), 0, region->start + byte);
    }
}

int main(int count, char **arguments) {
    parse(count, arguments);
    if (options.image) return make_image(options.image, options.mib << 20);
    int uffd = open_userfaultfd();
    map_memory(uffd);
    int channel = hand_over(uffd);
    if (options.half || !options.descriptor) {
        // Refused: the other side closes.
        char byte;
        return read(channel, &byte, 1) > 0;
    }
    uint64_t each = 0;
    for (uint64_t index = 0; index < options.regions; index++) each += pages_to_touch(&regions[index]);
    uint64_t *times = malloc((each * options.threads + 1) * sizeof *times);
    if (!times) fail("malloc");
    // There before anything is measured.
    memset(times, 1, each * options.threads * sizeof *times);
    if (options.gate) {
        uint64_t pages = regions[0].size / options.page_size;
        touch(&regions[0], scattered(pages - 1, pages, options.seed));
        wait_at_gate();
    }
    uint64_t before = now();
    pthread_t threads[most_threads];
    struct job jobs[most_threads] = {{0}};
    for (uint64_t index = 0; index < options.threads; index++) {
        jobs[index] = (struct job){.number = index, .times = times + index * each};
        if (pthread_create(&threads[index], NULL, guest, &jobs[index]) != 0) fail("pthread_create");
    }
    uint64_t touched = 0;
    for (uint64_t index = 0; index < options.threads; index++) {
        pthread_join(threads[index], NULL);
        touched += jobs[index].touched;
    }
    uint64_t after = now();
    if (options.balloon) inflate();
    struct times all = summary(times, touched);
    printf("{\"touched\":%llu,\"wrong\":%llu,\"seconds\":%.6f,\"slowest\":%.6f,\"begin\":%llu,\"end\":%llu,\"p50\":%llu,\"p99\":%llu}\n",
        (unsigned long long)touched, (unsigned long long)wrong, (double)(after - before) / 1e9, (double)all.slowest / 1e9,
        (unsigned long long)before, (unsigned long long)after, (unsigned long long)all.p50, (unsigned long long)all.p99);
    fflush(stdout);
    if (options.wait) {
        // Until somebody ends it, as a monitor runs on; the channel stays open.
        for (;;) pause();
    }
    return wrong ? 1 : 0;
}
