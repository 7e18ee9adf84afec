#define _GNU_SOURCE
#include "CTestSupport.h"

#include <setjmp.h>

#include "Conformance.h"

static _Thread_local sigjmp_buf *volatile catcher;
static void (*volatile bus_error_call)(void *, uint64_t);
static void *volatile bus_error_context;
static int signals;
static _Thread_local siginfo_t last;

static void on_fault(int number, siginfo_t *info, void *state) {
    (void)state;
    last = *info;
    if (catcher) siglongjmp(*catcher, number);
    if (number == SIGBUS && bus_error_call) {
        bus_error_call(bus_error_context, (uint64_t)info->si_addr);
        return;
    }
    signal(number, SIG_DFL);
}

void ctest_catch_faults(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

int ctest_fault_code(void) { return last.si_code; }

uint64_t ctest_fault_address(void) { return (uint64_t)last.si_addr; }

int ctest_fault_granularity(void) { return last.si_addr_lsb; }

CTEST_PLAIN int ctest_try_peek(uint64_t at) {
    sigjmp_buf place;
    int number = sigsetjmp(place, 1);
    if (number) {
        catcher = NULL;
        return -number;
    }
    catcher = &place;
    int value = *(volatile uint8_t *)at;
    catcher = NULL;
    return value;
}

CTEST_PLAIN int ctest_try_poke(uint64_t at, uint8_t value) {
    sigjmp_buf place;
    int number = sigsetjmp(place, 1);
    if (number) {
        catcher = NULL;
        return -number;
    }
    catcher = &place;
    *(volatile uint8_t *)at = value;
    catcher = NULL;
    return 0;
}

void ctest_on_bus_error(void (*call)(void *, uint64_t), void *context) {
    bus_error_context = context;
    bus_error_call = call;
}

static void on_signal(int number) {
    (void)number;
    __atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST);
}

void ctest_count_signal(int number) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(number, &action, NULL);
}

int ctest_signal_count(void) { return __atomic_load_n(&signals, __ATOMIC_SEQ_CST); }
