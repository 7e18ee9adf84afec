// Huge pages, borrowed: the limit of those that the system makes when they are asked for is raised, and put back at the
// end, also when a signal ends the process.

#ifndef CSTRESS_LOAN_H
#define CSTRESS_LOAN_H

#include <stdint.h>

/// Has a loan given back by signals that end the process. At the beginning of a program: handlers that others install later
/// come first, and pass on what is not theirs.
void cstress_loan_watch_signals(void);

/// Raises vm.nr_overcommit_hugepages to at least `pages`, where it is less. Returns 0 or an errno: EACCES for who may
/// not. Once; not while another thread does.
int cstress_loan_take(uint64_t pages);

/// Puts the old limit back, unless another process has a loan too: then that one does. Nothing without a loan.
void cstress_loan_give_back(void);

#endif
