#define _GNU_SOURCE
#include "CTestSupport.h"

#include <setjmp.h>

#include "CInThread.h"
#include "Signals.h"

static struct ctest_record record;
static _Thread_local sigjmp_buf *volatile way_out;

uint64_t ctest_current_mask(void) {
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, (long)SIG_BLOCK, NULL, &mask, sizeof(mask));
    return mask;
}

CTEST_PLAIN static void note(int number, int code, uint64_t address) {
    int error = errno;
    record = (struct ctest_record){record.count + 1, number, code, address, ctest_current_mask(), error};
    errno = 4711;
    if (way_out) siglongjmp(*way_out, number);
}

static void on_signal_with_info(int number, siginfo_t *info, void *context) {
    (void)context;
    note(number, info->si_code, (uint64_t)info->si_addr);
}

static void on_plain_signal(int number) { note(number, 0, 0); }

void ctest_record_signal(int number, int flags, int blocked) {
    struct sigaction action = {.sa_flags = flags};
    if (flags & SA_SIGINFO) action.sa_sigaction = on_signal_with_info; else action.sa_handler = on_plain_signal;
    if (blocked) sigaddset(&action.sa_mask, blocked);
    sigaction(number, &action, NULL);
}

struct ctest_record ctest_last_record(void) { return record; }

CTEST_PLAIN int ctest_recorded_peek(uint64_t address) {
    sigjmp_buf place;
    int number = sigsetjmp(place, 1);
    if (number) {
        way_out = NULL;
        return -number;
    }
    way_out = &place;
    int value = *(volatile uint8_t *)address;
    way_out = NULL;
    return value;
}

static int change_mask(int how, int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return pthread_sigmask(how, &set, NULL);
}

int ctest_block_signal(int number) { return change_mask(SIG_BLOCK, number); }

int ctest_unblock_signal(int number) { return change_mask(SIG_UNBLOCK, number); }

void ctest_ignore_signal(int number) { signal(number, SIG_IGN); }

int ctest_raise_keeping_errno(int number, int error) {
    errno = error;
    raise(number);
    return errno;
}

int ctest_send_bus_error(uint64_t address) {
    siginfo_t info = {.si_signo = SIGBUS, .si_code = BUS_ADRERR, .si_addr = (void *)address};
    long answer = syscall(SYS_rt_tgsigqueueinfo, (long)getpid(), syscall(SYS_gettid), (long)SIGBUS, &info);
    return answer < 0 ? -errno : 0;
}

static volatile uint64_t touch_address;
static int touch_count, touched_byte;

CTEST_PLAIN static void on_touching_signal(int number) {
    (void)number;
    __atomic_store_n(&touched_byte, *(volatile uint8_t *)touch_address, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&touch_count, 1, __ATOMIC_SEQ_CST);
}

void ctest_touch_on_signal(int number, uint64_t address) {
    touch_address = address;
    struct sigaction action = {.sa_handler = on_touching_signal, .sa_flags = SA_ONSTACK};
    sigaction(number, &action, NULL);
}

int ctest_touch_count(void) { return __atomic_load_n(&touch_count, __ATOMIC_SEQ_CST); }
int ctest_touched_byte(void) { return __atomic_load_n(&touched_byte, __ATOMIC_SEQ_CST); }

void ctest_use_signal_stack(void) {
    size_t size = 64 << 10;
    stack_t stack = {.ss_sp = malloc(size), .ss_size = size};
    if (!stack.ss_sp || sigaltstack(&stack, NULL) != 0) abort();
}

uint64_t ctest_map_empty_file(uint64_t length) {
    int fd = ctest_memfd(0);
    if (fd < 0) abort();
    int64_t address = ctest_mmap(0, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    close(fd);
    if (address < 0) abort();
    return (uint64_t)address;
}

int ctest_recorded_peek_in_child(uint64_t address) {
    long child = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    if (child == 0) syscall(SYS_exit_group, -ctest_recorded_peek(address));
    return child < 0 ? -errno : ctest_wait((int)child);
}

static void released(void *context) { *(int *)context = 1; }

static int resolve_here(void) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    int fd = ctest_open_raw();
    if (fd < 0 || ctest_enable(fd, UFFD_FEATURE_SIGBUS) < 0) return 1;
    int64_t start = ctest_mmap(0, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    uint8_t *bytes = malloc(page);
    if (start < 0 || !bytes) return 2;
    memset(bytes, 77, page);
    if (cinthread_prepare() != 0) return 3;
    struct cinthread_queue *queue = cinthread_queue_make(4, false);
    if (!queue) return 4;
    struct cinthread_region *region = cinthread_add(queue, fd, (uint64_t)start, 4 * page, page);
    if (!region) return 5;
    struct uffdio_register request = {.range = {(uint64_t)start, 4 * page}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(fd, UFFDIO_REGISTER, &request) < 0) return 6;
    struct cinthread_plan plan = {cinthread_copies | cinthread_zeroes, 1, (uint64_t)bytes, page};
    cinthread_allow(region, &plan);
    if (ctest_peek((uint64_t)start) != 77 || ctest_peek((uint64_t)start + page) != 0) return 7;
    if (cinthread_count(region).resolutions != 2 || !cinthread_close(region)) return 8;
    int is_released = 0;
    cinthread_remove(region, released, &is_released);
    cinthread_queue_release(queue);
    return is_released ? 0 : 9;
}

int ctest_resolve_in_child(void) {
    pid_t child = fork();
    if (child == 0) _exit(resolve_here());
    return child < 0 ? -errno : ctest_wait(child);
}

struct ctest_barrier {
    pthread_barrier_t barrier;
};

struct ctest_barrier *ctest_barrier_make(int count) {
    struct ctest_barrier *made = calloc(1, sizeof(*made));
    if (!made || pthread_barrier_init(&made->barrier, NULL, (unsigned)count) != 0) abort();
    return made;
}

void ctest_barrier_wait(struct ctest_barrier *barrier) { pthread_barrier_wait(&barrier->barrier); }

void ctest_barrier_free(struct ctest_barrier *barrier) {
    pthread_barrier_destroy(&barrier->barrier);
    free(barrier);
}
