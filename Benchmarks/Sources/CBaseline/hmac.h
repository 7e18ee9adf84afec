// HMAC-SHA256, for the handshake with a page server.

#ifndef CBASELINE_HMAC_H
#define CBASELINE_HMAC_H

#include <stddef.h>

enum { HMAC_BYTES = 32 };

/// The code of a message. Keys of at most 64 bytes, messages of at most 2048.
void bench_hmac(const unsigned char *key, size_t key_bytes, const unsigned char *message, size_t bytes, unsigned char *code);

#endif
