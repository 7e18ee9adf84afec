// The handler of SIGBUS that was there before, to which everything goes that is not ours.

#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef BUS_MCEERR_AO
#define BUS_MCEERR_AO 5
#endif

// The one that counts, of two: it is replaced where a thread may be reading it.
static struct sigaction earlier[2];
static struct sigaction *_Atomic previous;
// SA_RESETHAND: it was called once.
static _Atomic bool was_reset;

// Calls once what the handler calls from libraries, so that the dynamic linker does not look it up there.
static void look_up(void) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGBUS);
    if (sigismember(&mask, SIGBUS) != 1 || pthread_self() == 0) abort();
    errno = 0;
    syscall(SYS_getpid);
}

int cinthread_install(void (*handler)(int, siginfo_t *, void *)) {
    look_up();
    struct sigaction *now = &earlier[atomic_load(&previous) == &earlier[0]];
    if (sigaction(SIGBUS, NULL, now) != 0) return errno;
    bool takes_info = now->sa_flags & SA_SIGINFO;
    if (takes_info && now->sa_sigaction == handler) return 0;
    // A handler that was installed after ours calls it, we hope, and must not be called by it. Where there is none
    // any more, ours is gone: somebody has put back what he found before it.
    if (atomic_load(&previous) && (takes_info || (now->sa_handler != SIG_DFL && now->sa_handler != SIG_IGN))) return 0;
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK | (now->sa_flags & SA_RESTART)};
    ours.sa_sigaction = handler;
    // A fault is short; signals that arrive meanwhile come after it, or while the thread sleeps.
    sigfillset(&ours.sa_mask);
    atomic_store(&was_reset, false);
    atomic_store(&previous, now);
    return sigaction(SIGBUS, &ours, NULL) != 0 ? errno : 0;
}

CINTHREAD_BEGIN_PLAIN

// Ends the process as if there had never been a handler.
static void die(int number, siginfo_t *info) {
    struct sigaction action = {.sa_flags = 0};
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, NULL);
    // The same signal again, pending until this handler returns: the process ends at the instruction at fault, and
    // for the reason that whoever looks at its remains expects.
    long process = syscall(SYS_getpid), thread = syscall(SYS_gettid);
    if (syscall(SYS_rt_tgsigqueueinfo, process, thread, (long)number, info) != 0)
        syscall(SYS_tgkill, process, thread, (long)number);
}

void cinthread_pass_on(int number, siginfo_t *info, ucontext_t *context) {
    const struct sigaction *action = atomic_load(&previous);
    bool takes_info = action->sa_flags & SA_SIGINFO;
    bool is_default = !takes_info && action->sa_handler == SIG_DFL;
    bool is_ignored = !takes_info && action->sa_handler == SIG_IGN;
    // The kernel does not let a thread ignore what it did itself.
    bool is_own_doing = info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
    if (is_ignored && !is_own_doing) return;
    if (!is_default && !is_ignored && action->sa_flags & SA_RESETHAND) is_default = atomic_exchange(&was_reset, true);
    if (is_default || is_ignored) return die(number, info);

    // The mask that the kernel would have set for it.
    sigset_t mask = context->uc_sigmask;
    for (int signal = 1; signal < 65; signal++)
        if (sigismember(&action->sa_mask, signal) == 1) sigaddset(&mask, signal);
    if (!(action->sa_flags & SA_NODEFER)) sigaddset(&mask, number);
    cinthread_set_mask(&mask);
    if (takes_info) action->sa_sigaction(number, info, context); else action->sa_handler(number);
}

CINTHREAD_END_PLAIN
