#define _GNU_SOURCE
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uintptr_t bench_source_make(size_t byte_count, uint64_t seed) {
    void *memory = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 0;
    uint64_t *words = memory;
    uint64_t start = bench_mix(seed);
    for (size_t i = 0; i < byte_count / sizeof *words; i++) words[i] = bench_mix(start + i);
    return (uintptr_t)memory;
}

uintptr_t bench_file_map(const char *path, size_t *byte_count) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    struct stat status;
    void *memory = MAP_FAILED;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        *byte_count = (size_t)status.st_size;
        memory = mmap(NULL, *byte_count, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    }
    close(file);
    return memory == MAP_FAILED ? 0 : (uintptr_t)memory;
}

uintptr_t bench_file_share(const char *path, size_t byte_count) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return 0;
    void *memory = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return memory == MAP_FAILED ? 0 : (uintptr_t)memory;
}

int bench_file_make(const char *path, uintptr_t address, size_t byte_count) {
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return errno;
    int error = 0;
    for (size_t done = 0; done < byte_count && error == 0;) {
        ssize_t count = write(file, (const char *)address + done, byte_count - done);
        if (count < 0 && errno != EINTR) error = errno;
        if (count > 0) done += (size_t)count;
    }
    close(file);
    return error;
}

void bench_unmap(uintptr_t address, size_t byte_count) { munmap((void *)address, byte_count); }

size_t bench_equal_prefix(uintptr_t left, uintptr_t right, size_t byte_count) {
    const unsigned char *a = (const unsigned char *)left, *b = (const unsigned char *)right;
    if (memcmp(a, b, byte_count) == 0) return byte_count;
    size_t i = 0;
    while (i < byte_count && a[i] == b[i]) i++;
    return i;
}
