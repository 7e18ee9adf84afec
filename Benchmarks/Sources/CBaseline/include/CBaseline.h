// What the benchmark measures with and against: faulting threads, plain C servers, and counters.
//
// Every variant, C or Swift, is measured by the same faulting threads (touchers.h); only the serving side differs.
// Addresses cross this interface as integers and handles are opaque, so that callers need few unsafe expressions.

#ifndef CBASELINE_H
#define CBASELINE_H

#include "access.h"
#include "counters.h"
#include "dirty.h"
#include "echo_client.h"
#include "growth.h"
#include "keyvalue.h"
#include "mixed.h"
#include "operations.h"
#include "pagemap.h"
#include "pages.h"
#include "parkers.h"
#include "program.h"
#include "remote.h"
#include "server.h"
#include "snapshot.h"
#include "touchers.h"
#include "uffd.h"

#endif
