// Plays 'criu restore --lazy-pages': connects, sends every task's descriptor, registers afterwards, and says in the end that
// all is restored.
#define _GNU_SOURCE
#include "stand_in.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t *socket_lock;

static int open_userfaultfd(void) {
    int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    // Without the right to serve the kernel's own faults, those of programs must do.
    if (uffd < 0 && errno == EPERM) uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1);
    if (uffd < 0) fail("userfaultfd");
    struct uffdio_api api = {.api = UFFD_API,
        .features = UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE};
    if (ioctl(uffd, UFFDIO_API, &api) == 0) return uffd;
    if (errno != EPERM) fail("UFFDIO_API");
    api = (struct uffdio_api){.api = UFFD_API,
        .features = UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE};
    if (ioctl(uffd, UFFDIO_API, &api) != 0) fail("UFFDIO_API");
    return uffd;
}

static void send_all(int to, const void *bytes, size_t size, int descriptor) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
    }
    if (sendmsg(to, &message, MSG_NOSIGNAL) != (ssize_t)size) fail("sendmsg");
}

// Whoever had the lock may have ended with it, because nobody takes what it sends any more.
static void lock_socket(void) {
    if (pthread_mutex_lock(socket_lock) == EOWNERDEAD) pthread_mutex_consistent(socket_lock);
}

static void send_task(int to, int32_t pid, int uffd) {
    if (is_fault("half-number")) {
        if (pid == first_pid) send_all(to, &pid, 2, -1);
        _exit(0);
    }
    if (is_fault("unknown-task")) pid += 1000;
    if (is_fault("task-twice")) pid = first_pid;
    lock_socket();
    send_all(to, &pid, sizeof(pid), is_fault("early-descriptor") ? uffd : -1);
    int null = open("/dev/null", O_RDWR);
    if (pid > 0) send_all(to, "", 1, is_fault("no-descriptor") ? -1 : is_fault("no-userfaultfd") ? null : uffd);
    close(null);
    pthread_mutex_unlock(socket_lock);
}

static void *map(uint64_t at, const struct area *area) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (area->flags & map_grows_down ? MAP_GROWSDOWN : 0);
    void *start = mmap((void *)at, area->pages * page_size(), PROT_READ | PROT_WRITE, flags | (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    if (start == MAP_FAILED) fail("mmap");
    return start;
}

// The restorer: what is not lazy is there, mappings go to their places, then those that may be lazy are registered.
static void put_in_place(int pid, int uffd, void **premapped) {
    struct area list[areas];
    areas_of(pid, list);
    for (int index = 0; index < areas; index++) {
        struct area *area = &list[index];
        if (!premapped[index]) continue;
        uint64_t size = area->pages * page_size();
        if (mremap(premapped[index], size, size, MREMAP_MAYMOVE | MREMAP_FIXED, area->start) == MAP_FAILED) fail("mremap");
        // Never of one piece with the one before it.
        if (index == 1 && madvise((void *)area->start, size, MADV_DONTDUMP) != 0) fail("madvise");
        if (!may_be_lazy(area)) continue;
        struct uffdio_register request = {.range = {area->start, size}, .mode = UFFDIO_REGISTER_MODE_MISSING};
        if (ioctl(uffd, UFFDIO_REGISTER, &request) != 0) fail("UFFDIO_REGISTER");
    }
}

static int run_task(int pid, int to, int ready, int go, const char *deed) {
    struct area list[areas];
    areas_of(pid, list);
    void *premapped[areas] = {0};
    for (int index = 0; index < areas; index++) {
        if (!(list[index].flags & map_anonymous) || list[index].status & 0x10000) continue;
        premapped[index] = map(0, &list[index]);
        populate(pid, &list[index], premapped[index]);
    }
    int uffd = open_userfaultfd();
    send_task(to, pid, uffd);
    // In the middle of its restore: what it said is true, and it is gone.
    if (is_fault("dies") && pid == first_pid) raise(SIGKILL);
    put_in_place(pid, uffd, premapped);
    close(uffd);
    close(to);
    char byte = 0;
    if (strcmp(deed, "early") == 0) {
        // It touches memory before all is restored.
        int status = act(pid, deed);
        if (write(ready, &byte, 1) != 1) fail("write");
        return status;
    }
    if (write(ready, &byte, 1) != 1) fail("write");
    close(ready);
    while (read(go, &byte, 1) > 0) {}
    return act(pid, deed);
}

static int connect_to_daemon(void) {
    int to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "lazy-pages.socket"};
    if (to < 0 || connect(to, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path)) != 0)
        fail("lazy-pages.socket");
    return to;
}

static const char *deed_of(uint64_t index, char *store, size_t size) {
    // Tasks take the deeds in turn.
    uint64_t count = 1;
    for (const char *at = options.deeds; *at; at++) count += *at == ',';
    const char *start = options.deeds;
    for (uint64_t skip = index % count; skip; skip--) start = strchr(start, ',') + 1;
    size_t length = strcspn(start, ",");
    snprintf(store, size, "%.*s", (int)length, start);
    return store;
}

int restore(void) {
    if (chdir(options.work) != 0) fail(options.work);
    int to = connect_to_daemon();
    if (is_fault("nothing")) return 0;
    socket_lock = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t shared;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(socket_lock, &shared);
    int ready[2], go[2];
    if (pipe(ready) != 0 || pipe(go) != 0) fail("pipe");
    pid_t children[most_tasks];
    for (uint64_t index = 0; index < options.tasks; index++) {
        char deed[32];
        deed_of(index, deed, sizeof(deed));
        children[index] = fork();
        if (children[index] < 0) fail("fork");
        if (children[index] == 0) {
            close(ready[0]);
            close(go[1]);
            alarm(patience);
            _exit(run_task(first_pid + (int)index, to, ready[1], go[0], deed));
        }
    }
    for (uint64_t index = 0; index < options.zombies; index++) send_task(to, -(int)(first_pid + options.tasks + index), -1);
    close(ready[1]);
    close(go[0]);
    char byte;
    uint64_t count = 0;
    while (count < options.tasks && read(ready[0], &byte, 1) == 1) count++;
    uint32_t end = is_fault("wrong-end") ? 0x12345678 : 0x52535446;
    if (count == options.tasks && !is_fault("no-end")) send_all(to, &end, is_fault("half-end") ? 2 : 4, -1);
    close(to);
    if (options.hold) {
        // Until the other side says that the daemon has ended.
        printf("restored\n");
        fflush(stdout);
        while (read(STDIN_FILENO, &byte, 1) > 0) {}
    }
    close(go[1]);
    int worst = 0, wrong = 0;
    for (uint64_t index = 0; index < options.tasks; index++) {
        int status, code;
        if (waitpid(children[index], &status, 0) < 0) fail("waitpid");
        code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        char deed[32];
        if (strcmp(deed_of(index, deed, sizeof(deed)), "kill") == 0 && code == 128 + SIGKILL) code = 0;
        if (code) fprintf(stderr, "restore-stand-in: task %d (%s) ended with %d\n", first_pid + (int)index, deed, code);
        if (code == 1) wrong++;
        if (code > worst) worst = code;
    }
    printf("{\"tasks\":%llu,\"wrong\":%d,\"status\":%d}\n", (unsigned long long)options.tasks, wrong, worst);
    return worst;
}
