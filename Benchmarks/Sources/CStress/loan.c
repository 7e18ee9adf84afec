// The limit belongs to the system, and the project's tests borrow it as well. All agree on a lock file, which keeps the old
// value: who comes first writes it, who goes last puts it back. Where a process is killed with a loan, the next one to give
// back does it. All that runs in a signal handler is made of system calls.

#define _GNU_SOURCE
#include "loan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define SETTING "/proc/sys/vm/nr_overcommit_hugepages"
#define LOCK "/tmp/userfault-conformance-proc-sys-vm-nr_overcommit_hugepages"

enum { NUMBER_BYTES = 24 };
enum { NONE, CHANGING, TAKEN };

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT};
enum { FAULTS = 5, SIGNALS = sizeof signals / sizeof *signals }; // the first five come from what a thread does

static _Atomic int state;
static int users; // the lock file, with a shared lock as long as the loan lasts
static struct sigaction before[SIGNALS];

static int lock(int file, int how) {
    while (flock(file, how) != 0) {
        if (errno != EINTR) return errno;
    }
    return 0;
}

static int open_lock(const char *path) { return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600); }

/// The digits at the beginning of a file, without what follows; "" where there are none.
static void read_number(int file, char *text) {
    ssize_t count = pread(file, text, NUMBER_BYTES - 1, 0);
    size_t digits = 0;
    while (count > 0 && digits < (size_t)count && text[digits] >= '0' && text[digits] <= '9') digits++;
    text[digits] = 0;
}

static size_t length(const char *text) {
    size_t count = 0;
    while (text[count] != 0) count++;
    return count;
}

static int write_setting(const char *text) {
    int file = open(SETTING, O_WRONLY | O_CLOEXEC);
    if (file < 0) return errno;
    int error = write(file, text, length(text)) < 0 ? errno : 0;
    close(file);
    return error;
}

static void print_number(uint64_t number, char *text) {
    size_t digits = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10) digits++;
    text[digits] = 0;
    for (; digits > 0; number /= 10) text[--digits] = (char)('0' + number % 10);
}

static int raise_limit(uint64_t pages) {
    char old[NUMBER_BYTES], wanted[NUMBER_BYTES], kept[NUMBER_BYTES];
    int setting = open(SETTING, O_RDONLY | O_CLOEXEC), is_first = lock(users, LOCK_EX | LOCK_NB) == 0;
    if (setting < 0) return errno;
    read_number(setting, old);
    close(setting);
    read_number(users, kept);
    if (is_first && kept[0] == 0 && pwrite(users, old, length(old), 0) < 0) return errno;
    print_number(pages, wanted);
    int error = strtoull(old, NULL, 10) >= pages ? 0 : write_setting(wanted);
    if (error != 0 && is_first && kept[0] == 0) (void)!ftruncate(users, 0);
    return error;
}

/// Gives back, then lets happen what would have without us: a fault happens again, and who was to handle it does; a signal
/// that was sent ends the process.
static void handle(int number, siginfo_t *information, void *context) {
    (void)context;
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    cstress_loan_give_back();
    for (size_t i = 0; i < SIGNALS; i++) {
        if (signals[i] != number) continue;
        int was_sent = i >= FAULTS || information->si_code <= 0;
        sigaction(number, was_sent ? &fatal : &before[i], NULL);
        if (was_sent) raise(number);
    }
}

void cstress_loan_watch_signals(void) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], NULL, &before[i]);
        // What is ignored does not end the process.
        if (before[i].sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
    }
}

int cstress_loan_take(uint64_t pages) {
    int expected = NONE;
    if (access(SETTING, W_OK) != 0) return errno;
    if (!atomic_compare_exchange_strong(&state, &expected, CHANGING)) return EBUSY;
    int gate = open_lock(LOCK ".gate"), error = gate < 0 ? errno : lock(gate, LOCK_EX);
    if (error == 0) {
        users = open_lock(LOCK);
        error = users < 0 ? errno : raise_limit(pages);
        if (error == 0) error = lock(users, LOCK_SH);
        if (error != 0 && users >= 0) close(users);
    }
    if (gate >= 0) close(gate);
    atomic_store(&state, error == 0 ? TAKEN : NONE);
    return error;
}

void cstress_loan_give_back(void) {
    int expected = TAKEN;
    if (!atomic_compare_exchange_strong(&state, &expected, CHANGING)) return;
    int gate = open_lock(LOCK ".gate");
    if (gate >= 0) {
        lock(gate, LOCK_EX);
        if (lock(users, LOCK_EX | LOCK_NB) == 0) {
            char old[NUMBER_BYTES];
            read_number(users, old);
            if (old[0] != 0) write_setting(old);
            (void)!ftruncate(users, 0);
        }
    }
    close(users); // before the gate opens: who comes in next must not take us for a user
    if (gate >= 0) close(gate);
    atomic_store(&state, NONE);
}
