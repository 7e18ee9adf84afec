// What the stand-in was asked for.

#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>

enum { most_regions = 64, most_threads = 64 };

struct options {
    const char *socket, *image;
    uint64_t mib, regions, threads, page_size, percent, count, split, padding, seed;
    int descending, descriptor, balloon, wait, half, old_field, gate;
};

extern struct options options;

/// Reads the command line, or ends the program with status 3.
void parse(int count, char **arguments);

#endif
