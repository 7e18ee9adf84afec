// What the stress program needs and Swift cannot do: threads that take mutexes which lie in registered pages, a setting of
// the system that is put back whatever ends the process, and what the threads of this process are doing.
//
// Addresses cross this interface as integers and handles are opaque, so that callers need few unsafe expressions.

#ifndef CSTRESS_H
#define CSTRESS_H

#include "loan.h"
#include "lockers.h"
#include "pages.h"
#include "threads.h"

#endif
