#define _GNU_SOURCE
#include "threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/// The text of a file of a thread in /proc, up to the end of the line; empty where it cannot be read.
static void read_line(const char *thread, const char *name, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%.16s/%.16s", thread, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = file < 0 ? 0 : read(file, text, size - 1);
    if (file >= 0) close(file);
    text[count > 0 ? count : 0] = 0;
    text[strcspn(text, "\n")] = 0;
}

void cstress_print_threads(int descriptor) {
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) return;
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        char name[32], stat[512], place[64], call[256];
        read_line(entry->d_name, "comm", name, sizeof name);
        read_line(entry->d_name, "stat", stat, sizeof stat);
        read_line(entry->d_name, "wchan", place, sizeof place);
        read_line(entry->d_name, "syscall", call, sizeof call);
        const char *state = strrchr(stat, ')'); // the name before it may hold anything
        dprintf(
            descriptor, "  thread %s (%s): state %c in %s, system call %s\n", entry->d_name, name,
            state != NULL && state[1] == ' ' ? state[2] : '?', place, call);
    }
    closedir(threads);
}

uint32_t cstress_cpu_count(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (uint32_t)count : 1;
}
