// A client of a page server in plain C that asks for one page at a time: the wire protocol as docs/wire-protocol.md has it.

#ifndef CBASELINE_REMOTE_H
#define CBASELINE_REMOTE_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_remote bench_remote;

/// Connects to a page server on 127.0.0.1 and shakes hands with it. NULL with `*error` set when that fails: EACCES when the
/// server does not take us in, or does not know the secret itself.
bench_remote *bench_remote_connect(
    uint16_t port, const char *export, const unsigned char *secret, size_t secret_byte_count, int *error);

/// Reads bytes of the store, and waits for them. The address of the bytes, or 0 with `*error` set.
uintptr_t bench_remote_read(bench_remote *remote, uint64_t offset, size_t byte_count, int *error);

void bench_remote_close(bench_remote *remote);

#endif
