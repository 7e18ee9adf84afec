// What the parts of the stand-in share: the checkpoint that it makes, and plays the restore of.
#pragma once
#include <stdint.h>
#include <stddef.h>

enum {
    most_tasks = 64,
    patience = 240,         // seconds after which whoever hangs is ended, so that nothing outlives a test that fails
    first_pid = 100,        // inside the dumped namespace; the real numbers are others
    areas = 7,
    map_private = 0x02, map_anonymous = 0x20, map_grows_down = 0x100, map_locked = 0x2000,
};

// What becomes of a page when its task is restored.
enum page_state { page_absent, page_restored, page_lazy };

struct area {
    uint64_t start, pages;
    uint32_t flags, status;
};

struct options {
    const char *images, *work, *deeds, *fault;
    uint64_t seed, tasks, pages, threads, zombies;
    int remote, hold;
};

extern struct options options;

_Noreturn void fail(const char *what);
uint64_t mixed(uint64_t value);
uint64_t page_size(void);
// The word at an address of a task, never zero.
uint64_t word(int pid, uint64_t address);
// The mappings of a task, in ascending order.
void areas_of(int pid, struct area *list);
int may_be_lazy(const struct area *area);
enum page_state state_of(int pid, const struct area *area, uint64_t page);
int is_fault(const char *name);

int write_images(void);
int restore(void);
int serve_pages(void);
// What a task does once it is restored; its exit status.
int act(int pid, const char *deed);
// The pages that the restorer puts there before a task runs.
void populate(int pid, const struct area *area, uint8_t *at);
