#define _GNU_SOURCE
#include "snapshot_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t *page_at(const bench_writers_plan *plan, uintptr_t image, size_t page) {
    return (const uint64_t *)(image + page * plan->page_size);
}

/// The last operation of a thread that left something in the image.
static uint64_t last_operation(const bench_writers_plan *plan, uintptr_t image, uint32_t thread) {
    uint64_t last = 0;
    for (size_t i = 0; i < own_pages(plan, thread); i++) {
        uint64_t number = page_at(plan, image, own_page(plan, thread, i))[0];
        if (number > last) last = number;
    }
    return last;
}

static int found(bench_image_fault *fault, size_t page, const char *what) {
    fault->page = page;
    fault->what = what;
    return 1;
}

/// Whether each page of a thread holds what all operations up to the last leave behind. Of the last one the second word
/// may still be missing.
static int check_thread(
    const bench_writers_plan *plan, uintptr_t image, uint32_t thread, uint64_t *numbers, bench_image_fault *fault
) {
    size_t count = own_pages(plan, thread), end = words_per_page(plan) - 1, changing = count;
    uint64_t last = last_operation(plan, image, thread), before = 0;
    for (size_t i = 0; i < count; i++) numbers[i] = 0;
    for (uint64_t number = 1; number <= last; number++) {
        size_t i = target(plan, thread, number);
        if (number == last) {
            changing = i;
            before = numbers[i];
        }
        numbers[i] = number;
    }
    for (size_t i = 0; i < count; i++) {
        size_t page = own_page(plan, thread, i);
        const uint64_t *words = page_at(plan, image, page);
        if (words[0] < numbers[i]) return found(fault, page, "it lacks a write that came before others in the image");
        if (words[0] > numbers[i]) return found(fault, page, "it holds what no thread wrote");
        if (words[end] != numbers[i] && (i != changing || words[end] != before)) {
            return found(fault, page, "its two words are of different operations");
        }
    }
    if (thread != 0) return 0;
    uint64_t a = page_at(plan, image, PAGE_A)[0], shared = last / SHARED_PAUSE * SHARED_PAUSE;
    // A is written at the end of its operation.
    int late = last != 0 && last == shared && a == shared - SHARED_PAUSE;
    return a == shared || late ? 0 : found(fault, PAGE_A, "A is not of the instant of the rest");
}

static int check_constants(const bench_writers_plan *plan, uintptr_t image, bench_image_fault *fault) {
    size_t words = words_per_page(plan);
    for (size_t page = 0; page < plan->pages; page++) {
        const uint64_t *at = page_at(plan, image, page);
        for (size_t i = 1; i < words - 1; i++) {
            if (at[i] != constant(plan, page, i)) return found(fault, page, "words that nobody writes have changed");
        }
    }
    return 0;
}

int bench_image_verify(const bench_writers_plan *plan, uintptr_t image, bench_image_fault *fault) {
    uint64_t *numbers = malloc(own_pages(plan, 0) * sizeof *numbers);
    if (numbers == NULL) return ENOMEM;
    fault->what = NULL;
    int wrong = page_at(plan, image, PAGE_B)[0] > page_at(plan, image, PAGE_A)[0];
    if (wrong) found(fault, PAGE_B, "B is ahead of A");
    for (uint32_t thread = 0; !wrong && thread < plan->threads; thread++) {
        wrong = check_thread(plan, image, thread, numbers, fault);
    }
    if (!wrong) check_constants(plan, image, fault);
    free(numbers);
    return 0;
}

/// In the child: system calls only.
static int write_all(int file, uintptr_t base, size_t byte_count) {
    enum { PIECE = 1 << 20 };
    for (size_t done = 0; done < byte_count;) {
        size_t piece = byte_count - done < PIECE ? byte_count - done : PIECE;
        ssize_t bytes = write(file, (const void *)(base + done), piece);
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0) return errno;
        done += (size_t)bytes;
    }
    return 0;
}

int bench_fork_image(uintptr_t base, size_t byte_count, const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), status = 0;
    if (file < 0) return errno;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(write_all(file, base, byte_count));
    }
    int error = child < 0 ? errno : 0;
    close(file);
    if (error != 0) return error;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}
