#define _GNU_SOURCE
#include "CTestSupport.h"

#include <spawn.h>

#include "Conformance.h"

struct ctest_worker {
    pthread_t thread;
    enum ctest_task task;
    uint64_t a, b, c, d, e;
    int64_t result;
    uint32_t tid;
    int done;
};

// Mutex and counter of a page.
#define MUTEX(page) ((pthread_mutex_t *)(page))
#define COUNTER(page) ((volatile uint64_t *)((page) + 64))

CTEST_PLAIN void ctest_stress_prepare(uint64_t area, uint64_t count, uint64_t page_size) {
    for (uint64_t page = 0; page < count; page++) {
        memset((void *)(area + page * page_size), 0, page_size);
        pthread_mutex_init(MUTEX(area + page * page_size), NULL);
        *COUNTER(area + page * page_size) = 1;
    }
}

CTEST_PLAIN uint64_t ctest_stress_counter(uint64_t page) { return *COUNTER(page); }

// The number of a page whose counter was wrong, or -1.
CTEST_PLAIN static int64_t stress(const struct ctest_stress *job) {
    volatile uint64_t *shadow = (volatile uint64_t *)job->shadow;
    uint64_t random = job->seed * 2 + 1, page = 0;
    while (!__atomic_load_n((uint64_t *)job->stop, __ATOMIC_ACQUIRE)) {
        if (job->order == ctest_stress_random) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            page = random % job->count;
        } else {
            // Sequential threads start apart; racing ones all go for the same page.
            page = job->order == ctest_stress_sequential && page == 0 ? job->seed % job->count : page + 1;
            page %= job->count;
        }
        uint64_t at = job->area + page * job->page_size;
        pthread_mutex_lock(MUTEX(at));
        uint64_t count = *COUNTER(at);
        int wrong = count != shadow[page];
        *COUNTER(at) = shadow[page] = count + 1;
        pthread_mutex_unlock(MUTEX(at));
        if (wrong) return (int64_t)page;
    }
    return -1;
}

static int64_t allocate(uint64_t *stop) {
    int64_t rounds = 0;
    for (size_t size = 16; !__atomic_load_n(stop, __ATOMIC_ACQUIRE); size = size * 5 % 100003 + 16, rounds++) {
        void *volatile block = malloc(size);
        free(block);
    }
    return rounds;
}

static int64_t libc_fork(uint64_t times) {
    for (uint64_t i = 0; i < times; i++) {
        pid_t child = fork();
        if (child == 0) _exit(7);
        if (child < 0) return -errno;
        if (ctest_wait(child) != 7) return -1;
    }
    return 0;
}

CTEST_PLAIN static int64_t raw_fork(uint64_t times) {
    for (uint64_t i = 0; i < times; i++) {
        long child = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
        if (child == 0) syscall(SYS_exit_group, 7L);
        if (child < 0) return -errno;
        if (ctest_wait((int)child) != 7) return -1;
    }
    return 0;
}

static int64_t spawn(void) {
    char *arguments[] = {(char *)"true", NULL};
    char *environment[] = {NULL};
    pid_t child;
    int error = posix_spawnp(&child, "true", NULL, NULL, arguments, environment);
    return error ? -error : ctest_wait(child);
}

static int64_t run(struct ctest_worker *self) {
    uint64_t a = self->a, b = self->b, c = self->c, d = self->d, e = self->e;
    switch (self->task) {
    case ctest_task_try_peek: return ctest_try_peek(a);
    case ctest_task_try_poke: return ctest_try_poke(a, (uint8_t)b);
    case ctest_task_walk: return ctest_walk(a, b, c, d, (int)e);
    case ctest_task_madvise: return ctest_madvise(a, b, (int)c);
    case ctest_task_munmap: return ctest_munmap(a, b);
    case ctest_task_map_over:
        return ctest_mmap(a, b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
    case ctest_task_mremap: return ctest_mremap_with(a, b, c, (int)d, e);
    case ctest_task_read_into:
    {
        long got = syscall(SYS_read, a, b, c);
        return got < 0 ? -errno : got;
    }
    case ctest_task_raw_read: return ctest_raw_read((int)a, 0, b);
    case ctest_task_epoll_wait: return ctest_epoll_wait((int)a, -1);
    case ctest_task_fork_child: return ctest_fork_child((const struct ctest_child *)a);
    case ctest_task_stress: return stress((const struct ctest_stress *)a);
    case ctest_task_allocate: return allocate((uint64_t *)a);
    case ctest_task_libc_fork: return libc_fork(a);
    case ctest_task_raw_fork: return raw_fork(a);
    case ctest_task_posix_spawn: return spawn();
    }
    return -ENOSYS;
}

static void *body(void *argument) {
    struct ctest_worker *self = argument;
    // Who starts it may be one of a pool's threads, which let no signal through.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    __atomic_store_n(&self->tid, (uint32_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    self->result = run(self);
    __atomic_store_n(&self->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

struct ctest_worker *ctest_work(
    enum ctest_task task, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
    struct ctest_worker *self = calloc(1, sizeof(*self));
    if (!self) abort();
    self->task = task;
    self->a = a, self->b = b, self->c = c, self->d = d, self->e = e;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    if (pthread_create(&self->thread, &attributes, body, self) != 0) abort();
    pthread_attr_destroy(&attributes);
    return self;
}

uint32_t ctest_worker_thread_id(struct ctest_worker *worker) {
    return __atomic_load_n(&worker->tid, __ATOMIC_ACQUIRE);
}

int ctest_worker_is_done(struct ctest_worker *worker) {
    return __atomic_load_n(&worker->done, __ATOMIC_ACQUIRE);
}

void ctest_worker_signal(struct ctest_worker *worker, int number) { pthread_kill(worker->thread, number); }

int64_t ctest_worker_join(struct ctest_worker *worker) {
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 40;
    if (pthread_timedjoin_np(worker->thread, NULL, &deadline) != 0) return ctest_never_ended;
    int64_t result = worker->result;
    free(worker);
    return result;
}
