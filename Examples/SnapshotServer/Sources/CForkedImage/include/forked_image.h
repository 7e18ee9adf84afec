// An image by fork(2): a child writes its copy of memory to a file while the parent goes on.

#ifndef FORKED_IMAGE_H
#define FORKED_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/// Forks. The child writes `size` bytes from address `start` to the start of `file`, has them on the disk, and exits.
/// Returns its number in the parent, or -1 with errno set.
int forked_image_begin(uintptr_t start, size_t size, int file);

/// Waits until the child has exited. Returns 0, what its writing failed with, or ECANCELED if it was killed.
int forked_image_wait(int child);

#endif
