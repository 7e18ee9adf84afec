#ifndef CUSERFAULTFD_H
#define CUSERFAULTFD_H
#include <features.h>
#endif
