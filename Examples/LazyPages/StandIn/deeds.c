// What tasks do once they are restored, and the check of every page that they touch.
#define _GNU_SOURCE
#include "stand_in.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int wrong;

void populate(int pid, const struct area *area, uint8_t *at) {
    if (area->pages > 1u << 16) return;
    for (uint64_t page = 0; page < area->pages; page++) {
        if (state_of(pid, area, page) != page_restored) continue;
        uint64_t start = page * page_size();
        for (uint64_t byte = 0; byte < page_size(); byte += 8)
            *(uint64_t *)(void *)(at + start + byte) = word(pid, area->start + start + byte);
    }
}

// The page at `at` must hold what the image has for `address`; nothing if that is 0.
static void check(int pid, uint64_t at, uint64_t address) {
    for (uint64_t byte = 0; byte < page_size(); byte += 8) {
        uint64_t found = *(volatile uint64_t *)(at + byte), expected = address ? word(pid, address + byte) : 0;
        if (found == expected) continue;
        if (__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED) < 4)
            fprintf(stderr, "restore-stand-in: task %d: %016llx at %llx, not %016llx\n", pid, (unsigned long long)found,
                (unsigned long long)(at + byte), (unsigned long long)expected);
        return;
    }
}

// A page of an area, wherever the area is now.
static void check_page(int pid, const struct area *area, uint64_t page, uint64_t start) {
    int is_there = state_of(pid, area, page) != page_absent;
    check(pid, start + page * page_size(), is_there ? area->start + page * page_size() : 0);
}

struct walk {
    int pid;
    uint64_t number;
};

static int is_mapped(const struct area *area) { return area->flags & map_anonymous && !(area->status & 0x10000); }

// Every page of the small areas in an order without pattern, and some of the large one.
static void *walk(void *argument) {
    const struct walk *self = argument;
    struct area list[areas];
    areas_of(self->pid, list);
    for (int index = 0; index < areas; index++) {
        const struct area *area = &list[index];
        if (!is_mapped(area)) continue;
        uint64_t random = mixed(options.seed + self->number + (uint64_t)index);
        if (area->pages > 1u << 16) {
            for (uint64_t page = area->pages / 2; page < area->pages / 2 + 8; page++) check_page(self->pid, area, page, area->start);
            for (int count = 0; count < 20; count++) check_page(self->pid, area, mixed(random + (uint64_t)count) % area->pages, area->start);
            continue;
        }
        for (uint64_t count = 0; count < area->pages; count++)
            check_page(self->pid, area, (count * 2 * (random % 64 + 1) + count + random) % area->pages, area->start);
        for (uint64_t page = 0; page < area->pages; page++) check_page(self->pid, area, page, area->start);
    }
    return NULL;
}

static void walk_all(int pid) {
    pthread_t threads[64];
    struct walk walks[64];
    for (uint64_t number = 0; number < options.threads; number++) {
        walks[number] = (struct walk){pid, number};
        if (pthread_create(&threads[number], NULL, walk, &walks[number]) != 0) fail("pthread_create");
    }
    for (uint64_t number = 0; number < options.threads; number++) pthread_join(threads[number], NULL);
}

// Children and their children see the same, whoever touches a page first.
static void have_children(int pid) {
    pid_t children[3];
    for (int number = 0; number < 3; number++) {
        children[number] = fork();
        if (children[number] < 0) fail("fork");
        if (children[number] == 0) {
            pid_t grandchild = number == 1 ? fork() : 0;
            alarm(patience);
            // One ends without having looked at anything.
            if (number != 2) walk(&(struct walk){pid, (uint64_t)number});
            int status = 0;
            if (number == 1 && grandchild > 0) waitpid(grandchild, &status, 0);
            _exit(wrong || status ? 1 : 0);
        }
    }
    walk_all(pid);
    for (int number = 0; number < 3; number++) {
        int status;
        if (waitpid(children[number], &status, 0) < 0 || status) wrong++;
    }
}

static void move(int pid, const struct area *list) {
    uint64_t page = page_size(), first = list[0].pages * page, second = list[1].pages * page;
    uint64_t target = list[0].start + (3u << 30), other = target + (1u << 30);
    // A page has been touched before it goes, and the mapping grows by the way.
    check_page(pid, &list[0], 0, list[0].start);
    if (mremap((void *)list[0].start, first, first + 8 * page, MREMAP_MAYMOVE | MREMAP_FIXED, target) == MAP_FAILED) fail("mremap");
    for (uint64_t number = 0; number < list[0].pages; number++) check_page(pid, &list[0], number, target);
    for (uint64_t number = list[0].pages; number < list[0].pages + 8; number++) check(pid, target + number * page, 0);
    // What is left behind is empty.
    if (mremap((void *)list[1].start, second, second, MREMAP_MAYMOVE | MREMAP_FIXED | 4, other) == MAP_FAILED) fail("mremap");
    for (uint64_t number = 0; number < list[1].pages; number += 3) check(pid, list[1].start + number * page, 0);
    for (uint64_t number = 0; number < list[1].pages; number++) check_page(pid, &list[1], number, other);
}

static void drop(int pid, const struct area *list) {
    uint64_t half = list[0].pages / 2, page = page_size();
    if (madvise((void *)list[0].start, half * page, MADV_DONTNEED) != 0) fail("madvise");
    for (uint64_t number = 0; number < half; number++) check(pid, list[0].start + number * page, 0);
    for (uint64_t number = half; number < list[0].pages; number++) check_page(pid, &list[0], number, list[0].start);
}

static void cut(int pid, const struct area *list) {
    uint64_t quarter = list[0].pages / 4, page = page_size(), hole = list[0].start + quarter * page;
    if (munmap((void *)hole, quarter * page) != 0) fail("munmap");
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (mmap((void *)hole, quarter * page, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) fail("mmap");
    for (uint64_t number = 0; number < list[0].pages; number++) {
        int is_new = number >= quarter && number < 2 * quarter;
        if (is_new) check(pid, list[0].start + number * page, 0); else check_page(pid, &list[0], number, list[0].start);
    }
    // Without ever having been touched.
    if (munmap((void *)list[1].start, list[1].pages * page) != 0) fail("munmap");
}

static void grow_stack(int pid, const struct area *stack) {
    for (uint64_t number = 1; number <= 40; number++) {
        uint64_t at = stack->start - number * page_size();
        check(pid, at, 0);
        *(volatile uint64_t *)at = number;
    }
    for (uint64_t number = 1; number <= 40; number++)
        if (*(volatile uint64_t *)(stack->start - number * page_size()) != number) wrong++;
    for (uint64_t page = 0; page < stack->pages; page++) check_page(pid, stack, page, stack->start);
}

int act(int pid, const char *deed) {
    struct area list[areas];
    areas_of(pid, list);
    if (strcmp(deed, "walk") == 0 || strcmp(deed, "early") == 0) walk_all(pid);
    else if (strcmp(deed, "fork") == 0) have_children(pid);
    else if (strcmp(deed, "move") == 0) move(pid, list);
    else if (strcmp(deed, "drop") == 0) drop(pid, list);
    else if (strcmp(deed, "cut") == 0) cut(pid, list);
    else if (strcmp(deed, "stack") == 0) grow_stack(pid, &list[5]);
    else if (strcmp(deed, "exec") == 0) execl("/bin/true", "true", (char *)NULL);
    else if (strcmp(deed, "kill") == 0) {
        check_page(pid, &list[0], 1, list[0].start);
        raise(SIGKILL);
    } else if (strcmp(deed, "exit") != 0) return 3;
    return wrong ? 1 : 0;
}
