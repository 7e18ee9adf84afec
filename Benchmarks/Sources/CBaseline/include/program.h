// Programs that are started, and measured as they would run elsewhere.

#ifndef CBASELINE_PROGRAM_H
#define CBASELINE_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// What a program has taken, as far as the kernel tells its parent.
typedef struct {
    int status;                ///< of its exit, or 128 and the number of the signal that ended it
    uint64_t context_switches; ///< of all its threads, voluntary and not
    uint64_t cpu_nanoseconds;  ///< in user and kernel mode
    uint64_t peak_bytes;       ///< the most memory that was resident
} bench_program_end;

/// Starts a program. `words` are its path and its arguments, each ended by a zero byte. `input` and `output` become its
/// standard input and output where they are not negative; they are nothing otherwise. Its standard error goes to the file at
/// `errors`. Returns its number, or -1 with `*error` set.
int bench_program_start(
    const char *words, size_t byte_count, int input, int output, const char *errors, int *error);

/// Whether the program has exited. It stays to be waited for.
int bench_program_has_exited(int program);

/// Waits until the program has exited. Returns 0 or an errno.
int bench_program_wait(int program, bench_program_end *end);

void bench_program_signal(int program, int number);

/// A pipe whose ends are not inherited. Returns 0 or an errno.
int bench_pipe(int *reading, int *writing);

/// Reads what there is, and waits for no longer than `milliseconds` for anything. Returns how much, 0 at the end of all there is to
/// read, or -1 with errno set; ETIMEDOUT when the time is up.
ssize_t bench_read(int file, char *into, size_t size, int milliseconds);

/// Context switches of all threads of a process so far, voluntary and not; of those that are still there.
uint64_t bench_context_switches_of(int program);

/// Makes a directory of a new name; `path` ends in six letters X, which are replaced. Returns 0 or an errno.
int bench_make_directory(char *path);

#endif
