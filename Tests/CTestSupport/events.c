#define _GNU_SOURCE
#include "Events.h"

#include <dirent.h>
#include <spawn.h>

#include "CTestSupport.h"
#include "Conformance.h"

CTEST_PLAIN static int live(const struct ctest_family *family, int generations);

CTEST_PLAIN static int64_t fork_and_live(const struct ctest_family *family, int generations) {
    long child = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    if (child == 0) syscall(SYS_exit_group, (long)live(family, generations));
    return child < 0 ? -errno : child;
}

// Without the C library: it does not know that it was forked.
CTEST_PLAIN static int live(const struct ctest_family *family, int generations) {
    char byte;
    if (family->hold >= 0) {
        syscall(SYS_close, (long)family->release);
        while (syscall(SYS_read, (long)family->hold, &byte, 1L) < 0 && errno == EINTR) {}
    }
    int64_t child = generations > 1 ? fork_and_live(family, generations - 1) : 0;
    if (child < 0) return 99;
    for (int i = 0; i < family->run_count; i++) {
        const struct ctest_run *run = &family->runs[i];
        if (ctest_walk(run->at, run->count, run->page_size, run->first, run->options) >= 0) return i + 1;
    }
    if (child == 0) return 0;
    int status = 0;
    while (syscall(SYS_wait4, (long)child, &status, 0L, NULL) < 0 && errno == EINTR) {}
    return status == 0 ? 0 : 100 + (WIFEXITED(status) ? WEXITSTATUS(status) : 50);
}

int64_t ctest_fork_family(const struct ctest_family *family) { return fork_and_live(family, family->generations); }

int64_t ctest_fork_over_and_over(uint64_t times) {
    for (uint64_t i = 0; i < times; i++) {
        pid_t child = fork();
        if (child == 0) _exit(7);
        if (child < 0) return -errno;
        if (ctest_wait(child) != 7) return -1;
    }
    return 0;
}

int64_t ctest_spawn_over_and_over(uint64_t times) {
    char *arguments[] = {(char *)"true", NULL};
    char *environment[] = {NULL};
    for (uint64_t i = 0; i < times; i++) {
        pid_t child;
        int error = posix_spawnp(&child, "true", NULL, NULL, arguments, environment);
        if (error) return -error;
        if (ctest_wait(child) != 0) return -1;
    }
    return 0;
}

enum { block_count = 64 };

CTEST_PLAIN int64_t ctest_churn(const struct ctest_churn *job) {
    void *volatile blocks[block_count] = {NULL};
    uint64_t random = job->seed * 2 + 1;
    int64_t rounds = 0, wrong = 0;
    for (; !wrong && !__atomic_load_n((uint64_t *)job->stop, __ATOMIC_ACQUIRE); rounds++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        size_t size = random % 7 == 0 ? random % 200000 : random % 2000;
        int slot = (int)(random >> 20) % block_count;
        if (slot < 0) slot = -slot;
        if (random % 3 == 0) {
            free(blocks[slot]);
            blocks[slot] = malloc(size + 1);
        } else {
            void *larger = realloc(blocks[slot], size + 1);
            if (larger) blocks[slot] = larger;
        }
        // The allocator's locks are not fair: the forking thread, which wants all of them, would hardly get them.
        if (rounds % 32 == 0) ctest_pause(50000);
        uint64_t page = (random >> 32) % job->count;
        if (*(volatile uint64_t *)(job->area + page * job->page_size) != job->first + page) wrong = -1 - (int64_t)page;
    }
    for (int i = 0; i < block_count; i++) free(blocks[i]);
    return wrong ? wrong : rounds;
}

int ctest_descriptor_count(void) {
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) return -errno;
    int count = -3;  // ".", "..", and the directory itself
    while (readdir(directory)) count++;
    closedir(directory);
    return count;
}

int ctest_set_hard_descriptor_limit(uint64_t limit) {
    struct rlimit value = {limit, limit};
    return setrlimit(RLIMIT_NOFILE, &value) < 0 ? -errno : 0;
}
