#define _GNU_SOURCE
#include "forked_image.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// The other threads are not in the child, and what they held locked stays locked: system calls only.
static int write_all(uintptr_t start, size_t size, int file) {
    const size_t most = (size_t)1 << 20;
    for (size_t done = 0; done < size;) {
        size_t count = size - done < most ? size - done : most;
        ssize_t written = pwrite(file, (const void *)(start + done), count, (off_t)done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written < 0 ? errno : EIO;
        done += (size_t)written;
    }
    return fdatasync(file) == 0 ? 0 : errno;
}

int forked_image_begin(uintptr_t start, size_t size, int file) {
    pid_t child = fork();
    if (child != 0) return child;
    // Without a parent nobody would give the file its name.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Clients must see the end of a connection that the parent closes.
    if (file > 0) close_range(0, (unsigned)file - 1, 0);
    close_range((unsigned)file + 1, ~0u, 0);
    _exit(write_all(start, size, file));
}

int forked_image_wait(int child) {
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECANCELED;
}
