// Debian's event-config.h defines _GNU_SOURCE and Swift's Glibc module does not. Freezing the
// feature set first keeps both views of the system headers the same.
#include <features.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include <sys/syscall.h>

#include "messages.h"

// GNU extensions that the feature set above hides; glibc has had them for long (gettid since 2.30).
extern int pthread_setname_np(pthread_t thread, const char *name);
extern pid_t gettid(void);
extern int pthread_attr_setaffinity_np(pthread_attr_t *attributes, size_t size, const cpu_set_t *processors);
extern int sched_getaffinity(pid_t thread, size_t size, cpu_set_t *processors);
extern int sched_getcpu(void);

// A descriptor for a process (pidfd_open(2), 5.3), which glibc has had since 2.36 only; or a negated errno.
static inline int faultline_pidfd_open(pid_t process) {
    long descriptor = syscall(434, (long)process, 0L);
    return descriptor < 0 ? -errno : (int)descriptor;
}

// The calling thread. pthread_self is declared const: the optimiser may keep its result across the suspension of a
// Swift task, which goes on on another thread. The address is hidden from it, so that each call really asks.
static inline pthread_t faultline_current_thread(void) {
    pthread_t (*ask)(void) = pthread_self;
    __asm__ volatile("" : "+r"(ask));
    return ask();
}
