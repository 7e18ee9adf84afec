// Stands in for a virtual machine monitor that resumes a snapshot (Firecracker's backend "Uffd"): makes guest memory,
// registers it, sends a description of it and the userfaultfd over a UNIX-domain socket, and runs threads that
// touch the memory, as a guest would. Every word of the image follows from where it is, so that all can be checked.
//
// Ends with status 0 when all that was touched was right; 1: wrong contents; 2: it could not be set up; 3: the arguments.

#define _GNU_SOURCE
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

enum { most_regions = 64, most_threads = 64 };

struct options {
    const char *socket, *image;
    uint64_t mib, regions, threads, page_size, percent, split, padding, seed;
    int descending, descriptor, balloon, wait, half, old_field;
};

struct region {
    uint8_t *start;
    uint64_t size, offset;
};

static struct options options = {
    .mib = 64, .regions = 1, .threads = 2, .page_size = 4096, .percent = 100, .seed = 1, .descriptor = 1};
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
    uint64_t number, touched, slowest;
};

// Touches a share of the pages of each region, in an order without pattern, and reads them whole.
static void *guest(void *argument) {
    struct job *job = argument;
    for (uint64_t index = 0; index < options.regions; index++) {
        const struct region *region = &regions[index];
        uint64_t pages = region->size / options.page_size;
        uint64_t step = (mixed(options.seed + job->number) % pages) | 1;
        while (__extension__({
            uint64_t a = step, b = pages;
            while (b) { uint64_t rest = a % b; a = b; b = rest; }
            a != 1;
        })) step += 2;
        uint64_t count = (pages * options.percent + 99) / 100;
        for (uint64_t number = 0; number < count; number++) {
            uint64_t page = (number * step + job->number) % pages;
            const uint8_t *start = region->start + page * options.page_size;
            uint64_t before = now();
            for (uint64_t byte = 0; byte < options.page_size; byte += 8)
                check(*(volatile const uint64_t *)(const void *)(start + byte),
                    word(region->offset + page * options.page_size + byte), start + byte);
            uint64_t time = now() - before;
            if (time > job->slowest) job->slowest = time;
            job->touched++;
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

static uint64_t number(const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text) {
        fprintf(stderr, "monitor-stand-in: '%s' is no number\n", text);
        exit(3);
    }
    return value;
}

static void parse(int count, char **arguments) {
    struct { const char *name; uint64_t *value; } numbers[] = {
        {"--mib", &options.mib}, {"--regions", &options.regions}, {"--threads", &options.threads},
        {"--page-size", &options.page_size}, {"--percent", &options.percent}, {"--split", &options.split},
        {"--padding", &options.padding}, {"--seed", &options.seed}};
    struct { const char *name; int *flag, value; } flags[] = {
        {"--descending", &options.descending, 1}, {"--no-descriptor", &options.descriptor, 0},
        {"--balloon", &options.balloon, 1}, {"--wait", &options.wait, 1}, {"--half", &options.half, 1},
        {"--old-field", &options.old_field, 1}};
    for (int index = 1; index < count; index++) {
        int known = 0;
        for (size_t flag = 0; flag < sizeof(flags) / sizeof(flags[0]); flag++)
            if (strcmp(arguments[index], flags[flag].name) == 0) *flags[flag].flag = flags[flag].value, known = 1;
        if (known) continue;
        if (index + 1 < count) {
            for (size_t at = 0; at < sizeof(numbers) / sizeof(numbers[0]); at++)
                if (strcmp(arguments[index], numbers[at].name) == 0) *numbers[at].value = number(arguments[index + 1]), known = 1;
            if (strcmp(arguments[index], "--socket") == 0) options.socket = arguments[index + 1], known = 1;
            if (strcmp(arguments[index], "--make-image") == 0) options.image = arguments[index + 1], known = 1;
        }
        if (!known) {
            fprintf(stderr, "monitor-stand-in: what is '%s'?\n", arguments[index]);
            exit(3);
        }
        index++;
    }
    if ((!options.socket && !options.image) || options.regions < 1 || options.regions > most_regions
        || options.threads < 1 || options.threads > most_threads || options.page_size < 4096
        || (options.mib << 20) / options.regions < options.page_size) {
        fputs("monitor-stand-in: --socket PATH or --make-image PATH; up to 64 regions and threads\n", stderr);
        exit(3);
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
    uint64_t before = now();
    pthread_t threads[most_threads];
    struct job jobs[most_threads] = {{0}};
    for (uint64_t index = 0; index < options.threads; index++) {
        jobs[index].number = index;
        if (pthread_create(&threads[index], NULL, guest, &jobs[index]) != 0) fail("pthread_create");
    }
    uint64_t touched = 0, slowest = 0;
    for (uint64_t index = 0; index < options.threads; index++) {
        pthread_join(threads[index], NULL);
        touched += jobs[index].touched;
        if (jobs[index].slowest > slowest) slowest = jobs[index].slowest;
    }
    uint64_t time = now() - before;
    if (options.balloon) inflate();
    printf("{\"touched\":%llu,\"wrong\":%llu,\"seconds\":%.6f,\"slowest\":%.6f}\n", (unsigned long long)touched,
        (unsigned long long)wrong, (double)time / 1e9, (double)slowest / 1e9);
    fflush(stdout);
    if (options.wait) {
        // Until somebody ends it, as a monitor runs on; the channel stays open.
        for (;;) pause();
    }
    return wrong ? 1 : 0;
}
