// What the conformance cases need besides CTestSupport.h: threads and children that do one thing,
// faults that are caught, and the kernel's calls without the care that the Userfault module takes.
// Addresses are integers. What can fail returns a negated errno.

#ifndef CTEST_CONFORMANCE_H
#define CTEST_CONFORMANCE_H

#include <stdint.h>

_Pragma("clang assume_nonnull begin")

// MARK: Memory

int ctest_memfd_huge(uint64_t length);
int ctest_punch_hole(int fd, uint64_t offset, uint64_t length);
int64_t ctest_mremap_with(uint64_t at, uint64_t length, uint64_t new_length, int flags, uint64_t to);
uint64_t ctest_load(uint64_t address);
void ctest_store(uint64_t address, uint64_t value);

// Page number i is full of the 64-bit word `first` + i.
void ctest_fill_pages(uint64_t at, uint64_t count, uint64_t page_size, uint64_t first);
void ctest_invert_page(uint64_t at, uint64_t page_size);
// Whether the whole page is full of `word`.
int ctest_page_is(uint64_t at, uint64_t page_size, uint64_t word);

// Looks at the first and the last word of each page in turn, where `first` + i or, with `invert`, its
// complement must stand, and writes the first one back with `write`. The first page that is wrong, or -1.
enum ctest_walk_options { ctest_walk_write = 1, ctest_walk_invert = 2, ctest_walk_zero = 4 };
int64_t ctest_walk(uint64_t at, uint64_t count, uint64_t page_size, uint64_t first, int options);

// Lets the kernel access a byte on our behalf: write to it from a pipe, or read it as another process's memory.
int ctest_poke_by_system_call(uint64_t address, uint8_t value);
int ctest_peek_by_vm_read(uint64_t address);

// Pins pages for long: with the kernel's own test module, read-only; or by an io_uring, for writing.
// A descriptor for ctest_unpin.
int ctest_pin_by_gup_test(uint64_t at, uint64_t length);
int ctest_pin_by_io_uring(uint64_t at, uint64_t length);
void ctest_unpin(int fd);

// MARK: Faults that are caught. All for the whole process: for exit tests.

void ctest_catch_faults(void);
// The byte, or the negated number of the signal that came instead.
int ctest_try_peek(uint64_t at);
int ctest_try_poke(uint64_t at, uint8_t value);
// Of the last one that the calling thread caught: si_code, si_addr and si_addr_lsb.
int ctest_fault_code(void);
uint64_t ctest_fault_address(void);
int ctest_fault_granularity(void);
// Bus errors that no ctest_try caught call this, in the signal handler, and try again.
void ctest_on_bus_error(void (*_Nullable call)(void *_Nullable, uint64_t address), void *_Nullable context);
// Counts signals of a kind that interrupts and does nothing else.
void ctest_count_signal(int number);
int ctest_signal_count(void);

// MARK: Threads

enum ctest_task {
    ctest_task_try_peek,        // address
    ctest_task_try_poke,        // address, value
    ctest_task_walk,            // address, count, page size, first, options
    ctest_task_madvise,         // address, length, advice
    ctest_task_munmap,          // address, length
    ctest_task_map_over,        // address, length
    ctest_task_mremap,          // address, length, new length, flags, to
    ctest_task_read_into,       // fd, address, length
    ctest_task_raw_read,        // fd, length
    ctest_task_epoll_wait,      // epoll fd
    ctest_task_fork_child,      // struct ctest_child
    ctest_task_stress,          // struct ctest_stress
    ctest_task_allocate,        // address of a word that ends it
    ctest_task_libc_fork,       // how often
    ctest_task_raw_fork,        // how often
    ctest_task_posix_spawn,
};

struct ctest_worker;
struct ctest_worker *ctest_work(
    enum ctest_task task, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
uint32_t ctest_worker_thread_id(struct ctest_worker *worker);
int ctest_worker_is_done(struct ctest_worker *worker);
void ctest_worker_signal(struct ctest_worker *worker, int number);
// What came of it. A thread that does not end in time is left behind, with a result no task has.
enum { ctest_never_ended = -99999 };
int64_t ctest_worker_join(struct ctest_worker *worker);

// A thread that takes the mutexes of pages and counts in them, checked against a shadow array of counters.
enum ctest_stress_order { ctest_stress_random, ctest_stress_sequential, ctest_stress_racing };
struct ctest_stress {
    uint64_t area, count, page_size, shadow;
    uint64_t stop;              // address of a word that ends it
    uint64_t seed;
    enum ctest_stress_order order;
};
void ctest_stress_prepare(uint64_t area, uint64_t count, uint64_t page_size);
uint64_t ctest_stress_counter(uint64_t page);

// MARK: Children, forked without the C library

enum ctest_child_task {
    ctest_child_wait,           // waits for the end of its pipe
    ctest_child_pin_and_wait,   // address, length, 1 for gup_test: pins, and waits
    ctest_child_peek,           // address: exits with the byte
    ctest_child_bus_errors,     // address, count, page size: exits with 0 if every access is one
    ctest_child_copy,           // userfaultfd, where to, from where, length: exits with the errno
    ctest_child_move,           // the same
    ctest_child_events,         // address, count, page size, where to move to, options: see below
};

// `copy` and `move` write 0x99 to their source first, of which the child has a copy of its own.
// `events`: walks the first half of the pages at a, moves all of them to d, walks the rest there, drops them
// and looks for zeroes. Options are the walk's, or 256 to drop with MADV_REMOVE. Exits with 0, or with the step that was wrong.
struct ctest_child {
    enum ctest_child_task task;
    uint64_t a, b, c, d;
    int options;
    int hold;                   // read end of a pipe: the child waits for its end
    int release;                // the other end, which the child closes
    int ready;                  // write end of a pipe: told when it waits; -1: not wanted
};
int64_t ctest_fork_child(const struct ctest_child *child);

// MARK: Descriptors

int ctest_pipe(int *ends);
int ctest_read_byte(int fd);
int ctest_write_byte(int fd, uint8_t value);
int ctest_open_raw_device(void);
int ctest_open_raw_with(int flags);
// The device node itself, and an ioctl of it without an argument but a number.
int ctest_open_device(void);
int ctest_ask_device(int device, int number, int value);
// Any ioctl of a userfaultfd, by number and size, with an argument anywhere.
int ctest_ioctl(int fd, int number, int size, uint64_t at);
int ctest_handshake(int fd, uint64_t api, uint64_t features);
int ctest_raw_unregister(int fd, uint64_t start, uint64_t length);
// read(2) as it is, into a buffer of its own, or into `at` if that is not 0.
int64_t ctest_raw_read(int fd, uint64_t at, uint64_t length);
int ctest_set_blocking(int fd);
int ctest_set_nonblocking(int fd);
int ctest_clear_close_on_exec(int fd);
int ctest_poll_now(int fd);
int ctest_event_counter(void);
void ctest_event_signal(int fd);
int ctest_epoll(int fd, uint32_t events);
int ctest_epoll_add(int epoll, int fd, uint32_t events);
int ctest_epoll_wait(int epoll, int milliseconds);
// Waits for either: 1 the first is readable, 2 the second, 3 both, 0 neither in time.
int ctest_wait_two(int first, int second, int milliseconds);

// A fill with all arguments zero, the output field preset to 1.
struct ctest_answer {
    int error;
    int64_t field;
};
enum ctest_fill { ctest_fill_copy, ctest_fill_zero, ctest_fill_move, ctest_fill_poison, ctest_fill_continue };
struct ctest_answer ctest_zeroed_fill(int fd, enum ctest_fill operation);

// MARK: Files and locks

int64_t ctest_read_file(const char *path, char *buffer, uint64_t size);
// What smaps calls VmFlags of the mapping that an address is in; its length, 0 without a mapping.
int ctest_mapping_flags(uint64_t address, char *text, int size);
int ctest_write_file(const char *path, const char *text);
int ctest_open_lock(const char *path);
enum ctest_lock { ctest_lock_shared, ctest_lock_exclusive, ctest_lock_try_exclusive, ctest_lock_none };
int ctest_lock(int fd, enum ctest_lock how);

_Pragma("clang assume_nonnull end")

#endif
