#define _GNU_SOURCE
#include "program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_WORDS = 32 };

static int redirect(posix_spawn_file_actions_t *actions, int file, int to, int flags) {
    if (file >= 0) return posix_spawn_file_actions_adddup2(actions, file, to);
    return posix_spawn_file_actions_addopen(actions, to, "/dev/null", flags, 0);
}

static int spawn(pid_t *program, char **words, int input, int output, const char *errors) {
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return error;
    error = redirect(&actions, input, 0, O_RDONLY);
    if (error == 0) error = redirect(&actions, output, 1, O_WRONLY);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0600);
    // Threads of a pool may have signals blocked, by which the program is told to end.
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (error == 0) error = posix_spawn(program, words[0], &actions, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int bench_program_start(
    const char *words, size_t byte_count, int input, int output, const char *errors, int *error) {
    char *copy = malloc(byte_count + 1), *list[MOST_WORDS + 1] = {0};
    pid_t program = -1;
    *error = copy == NULL ? ENOMEM : 0;
    if (copy != NULL) {
        memcpy(copy, words, byte_count);
        copy[byte_count] = 0;
        size_t count = 0;
        for (char *word = copy; word < copy + byte_count && count < MOST_WORDS; word += strlen(word) + 1)
            list[count++] = word;
        *error = spawn(&program, list, input, output, errors);
    }
    free(copy);
    return *error == 0 ? program : -1;
}

int bench_program_has_exited(int program) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)program, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == program;
}

int bench_program_wait(int program, bench_program_end *end) {
    struct rusage usage;
    int status;
    while (wait4(program, &status, 0, &usage) < 0)
        if (errno != EINTR) return errno;
    end->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    end->context_switches = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
    end->cpu_nanoseconds = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u
        + (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
    end->peak_bytes = (uint64_t)usage.ru_maxrss * 1024u;
    return 0;
}

void bench_program_signal(int program, int number) { kill(program, number); }

int bench_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

ssize_t bench_read(int file, char *into, size_t size, int milliseconds) {
    struct pollfd ready = {.fd = file, .events = POLLIN};
    for (;;) {
        int count = poll(&ready, 1, milliseconds);
        if (count == 0) errno = ETIMEDOUT;
        ssize_t bytes = count > 0 ? read(file, into, size) : -1;
        if (bytes >= 0 || errno != EINTR) return bytes;
    }
}

static uint64_t switches_of(int folder, const char *thread) {
    char path[64], line[256];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "%.20s/status", thread);
    int file = openat(folder, path, O_RDONLY | O_CLOEXEC);
    FILE *status = file < 0 ? NULL : fdopen(file, "r");
    if (status == NULL) return 0;
    while (fgets(line, sizeof line, status) != NULL) {
        char *value = strstr(line, "voluntary_ctxt_switches:");
        if (value != NULL) sum += strtoull(strchr(value, ':') + 1, NULL, 10);
    }
    fclose(status);
    return sum;
}

uint64_t bench_context_switches_of(int program) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", program);
    DIR *threads = opendir(path);
    uint64_t sum = 0;
    if (threads == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;)
        if (entry->d_name[0] != '.') sum += switches_of(dirfd(threads), entry->d_name);
    closedir(threads);
    return sum;
}

int bench_make_directory(char *path) { return mkdtemp(path) == NULL ? errno : 0; }
