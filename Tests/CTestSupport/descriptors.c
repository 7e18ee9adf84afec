#define _GNU_SOURCE
#include "CTestSupport.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "Conformance.h"

// Kernel headers may be older than the kernel: numbers and layouts as the Userfault module has them.
#define IOC(number, size) _IOC(_IOC_READ | _IOC_WRITE, 0xAA, number, size)

int ctest_pipe(int *ends) { return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0; }

int ctest_read_byte(int fd) {
    uint8_t byte;
    for (;;) {
        ssize_t got = read(fd, &byte, 1);
        if (got == 1) return byte;
        if (got == 0) return -EPIPE;
        if (errno != EINTR) return -errno;
    }
}

int ctest_write_byte(int fd, uint8_t value) { return write(fd, &value, 1) == 1 ? 0 : -errno; }

int ctest_open_raw_device(void) {
    int device = open("/dev/userfaultfd", O_RDONLY | O_CLOEXEC);
    if (device < 0) return -errno;
    int made = ioctl(device, _IO(0xAA, 0), O_CLOEXEC | O_NONBLOCK);
    if (made < 0) made = -errno;
    close(device);
    return made;
}

int ctest_open_raw_with(int flags) {
    long made = syscall(SYS_userfaultfd, (long)flags);
    return made < 0 ? -errno : (int)made;
}

int ctest_open_device(void) {
    int device = open("/dev/userfaultfd", O_RDONLY | O_CLOEXEC);
    return device < 0 ? -errno : device;
}

int ctest_ask_device(int device, int number, int value) {
    int made = ioctl(device, _IO(0xAA, number), (long)value);
    return made < 0 ? -errno : made;
}

CTEST_PLAIN int ctest_ioctl(int fd, int number, int size, uint64_t at) {
    // UNREGISTER and WAKE are declared as if they only answered.
    unsigned direction = number == 1 || number == 2 ? _IOC_READ : _IOC_READ | _IOC_WRITE;
    return syscall(SYS_ioctl, (long)fd, (long)_IOC(direction, 0xAA, number, size), at) < 0 ? -errno : 0;
}

int ctest_handshake(int fd, uint64_t api, uint64_t features) {
    struct uffdio_api argument = {.api = api, .features = features};
    return ioctl(fd, UFFDIO_API, &argument) < 0 ? -errno : 0;
}

int ctest_raw_unregister(int fd, uint64_t start, uint64_t length) {
    struct uffdio_range argument = {start, length};
    return ioctl(fd, UFFDIO_UNREGISTER, &argument) < 0 ? -errno : 0;
}

int64_t ctest_raw_read(int fd, uint64_t at, uint64_t length) {
    char buffer[4096];
    if (!at && length > sizeof(buffer)) length = sizeof(buffer);
    long got = syscall(SYS_read, (long)fd, at ? at : (uint64_t)buffer, length);
    return got < 0 ? -errno : got;
}

int ctest_set_blocking(int fd) {
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int ctest_set_nonblocking(int fd) {
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ? -errno : 0;
}

int ctest_clear_close_on_exec(int fd) {
    return fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) & ~FD_CLOEXEC) < 0 ? -errno : 0;
}

int ctest_poll_now(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, 0) < 0 ? -errno : entry.revents;
}

int ctest_event_counter(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void ctest_event_signal(int fd) {
    uint64_t one = 1;
    if (write(fd, &one, sizeof(one)) < 0) abort();
}

int ctest_epoll(int fd, uint32_t events) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) return -errno;
    int error = ctest_epoll_add(epoll, fd, events);
    if (error < 0) close(epoll);
    return error < 0 ? error : epoll;
}

int ctest_epoll_add(int epoll, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int ctest_epoll_wait(int epoll, int milliseconds) {
    struct epoll_event events[4];
    int count;
    do count = epoll_wait(epoll, events, 4, milliseconds);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

int ctest_wait_two(int first, int second, int milliseconds) {
    struct pollfd entries[2] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
    if (poll(entries, 2, milliseconds) <= 0) return 0;
    return (entries[0].revents ? 1 : 0) | (entries[1].revents ? 2 : 0);
}

struct ctest_answer ctest_zeroed_fill(int fd, enum ctest_fill operation) {
    static const struct {
        int number, words;
    } fills[] = {{3, 5}, {4, 4}, {5, 5}, {8, 4}, {7, 4}};
    // The output field is the last one of each.
    int words = fills[operation].words;
    uint64_t argument[5] = {0};
    argument[words - 1] = 1;
    int error = ioctl(fd, IOC(fills[operation].number, words * 8), argument) < 0 ? errno : 0;
    return (struct ctest_answer){error, (int64_t)argument[words - 1]};
}

int64_t ctest_read_file(const char *path, char *buffer, uint64_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int64_t done = 0, got;
    while (done < (int64_t)size && (got = read(fd, buffer + done, size - (uint64_t)done)) > 0) done += got;
    close(fd);
    return done;
}

int ctest_mapping_flags(uint64_t address, char *text, int size) {
    FILE *maps = fopen("/proc/self/smaps", "re");
    if (!maps) return -errno;
    char line[512];
    unsigned long start, end;
    int inside = 0, length = 0;
    while (length == 0 && fgets(line, sizeof(line), maps)) {
        // Lines of a mapping begin with its addresses, all others with a capital letter.
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) inside = start <= address && address < end;
        if (inside && strncmp(line, "VmFlags:", 8) == 0) length = snprintf(text, (size_t)size, "%s", line + 8);
    }
    fclose(maps);
    return length;
}

int ctest_write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return result;
}

int ctest_open_lock(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

int ctest_lock(int fd, enum ctest_lock how) {
    static const int operations[] = {LOCK_SH, LOCK_EX, LOCK_EX | LOCK_NB, LOCK_UN};
    while (flock(fd, operations[how]) < 0)
        if (errno != EINTR) return -errno;
    return 0;
}
