// What the threads of this process are doing.

#ifndef CSTRESS_THREADS_H
#define CSTRESS_THREADS_H

#include <stdint.h>

/// Writes a line for each thread to `descriptor`: its number and name, its state, where in the kernel it sleeps, and the
/// system call it is in with its arguments.
void cstress_print_threads(int descriptor);

/// The number of CPUs this process may run on.
uint32_t cstress_cpu_count(void);

#endif
