#define _GNU_SOURCE
#include "remote.h"
#include "hmac.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 48, CAPACITY = 1 << 16, HELLO = 1, CHALLENGE, PROOF, WELCOME, READ = 16, ANSWER = 32, ZERO = 2 };

struct bench_remote {
    int socket;
    uint64_t number;
    _Alignas(64) unsigned char frame[HEADER + CAPACITY];
};

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t checksum(const unsigned char *bytes, size_t count) {
    uint64_t crc = 0xffffffff, word;
    for (; count >= 8; count -= 8, bytes += 8) {
        memcpy(&word, bytes, 8);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    while (count--) crc = __builtin_ia32_crc32qi((uint32_t)crc, *bytes++);
    return ~(uint32_t)crc;
}
#else
static uint32_t checksum(const unsigned char *bytes, size_t count) {
    uint32_t crc = 0xffffffff;
    while (count--) {
        crc ^= *bytes++;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}
#endif

static void put(unsigned char *at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) at[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get(const unsigned char *at, int bytes) {
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;) value = value << 8 | at[i];
    return value;
}

static int send_all(int socket, const unsigned char *bytes, size_t count) {
    while (count > 0) {
        ssize_t sent = send(socket, bytes, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return errno;
        bytes += sent;
        count -= (size_t)sent;
    }
    return 0;
}

/// Sends a frame; its contents stand behind the header already.
static int send_frame(
    bench_remote *remote, int kind, int flags, uint64_t number, uint64_t offset, uint64_t count, size_t length
) {
    unsigned char *header = remote->frame;
    memset(header, 0, HEADER);
    memcpy(header, "FLP1", 4);
    header[4] = (unsigned char)kind;
    header[5] = (unsigned char)flags;
    put(header + 8, number, 8);
    put(header + 16, offset, 8);
    put(header + 24, count, 8);
    put(header + 32, length, 4);
    if (length > 0) put(header + 36, checksum(header + HEADER, length), 4);
    put(header + 44, checksum(header, 44), 4);
    return send_all(remote->socket, header, HEADER + length);
}

/// Receives one frame, of which no other follows, and checks it. Its length, or a negative errno.
static ssize_t receive_frame(bench_remote *remote, int kind, uint64_t number) {
    size_t have = 0, need = HEADER;
    while (have < need) {
        ssize_t bytes = recv(remote->socket, remote->frame + have, sizeof remote->frame - have, 0);
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0) return -errno;
        if (bytes == 0) return -EACCES;
        have += (size_t)bytes;
        if (have >= HEADER && need == HEADER) {
            const unsigned char *header = remote->frame;
            if (memcmp(header, "FLP1", 4) != 0 || get(header + 44, 4) != checksum(header, 44)) return -EPROTO;
            if (header[4] != kind || get(header + 6, 2) != 0) return -EACCES;
            if (get(header + 8, 8) != number || get(header + 32, 4) > CAPACITY) return -EPROTO;
            need += get(header + 32, 4);
        }
    }
    size_t length = need - HEADER;
    if (have != need || (length > 0 && get(remote->frame + 36, 4) != checksum(remote->frame + HEADER, length)))
        return -EPROTO;
    return (ssize_t)length;
}

static int shake_hands(bench_remote *remote, const char *export, const unsigned char *secret, size_t secret_bytes) {
    static const char client_label[] = "faultline client 1", server_label[] = "faultline server 1";
    unsigned char transcript[1024], code[HMAC_BYTES], *contents = remote->frame + HEADER;
    size_t name = strlen(export), label = sizeof client_label, said = label;
    if (name == 0 || name > 255 || secret_bytes > 64) return EINVAL;
    memcpy(transcript, client_label, label);
    put(contents, 1, 2);
    put(contents + 2, 1, 2);
    if (getrandom(contents + 4, 48, 0) != 48) return errno;
    put(contents + 52, name, 2);
    memcpy(contents + 54, export, name);
    memcpy(transcript + said, contents, 54 + name);
    said += 54 + name;
    int error = send_frame(remote, HELLO, 0, 0, 0, 0, 54 + name);
    if (error != 0) return error;
    ssize_t length = receive_frame(remote, CHALLENGE, 0);
    if (length != 36) return length < 0 ? (int)-length : EPROTO;
    if (get(contents, 2) != 1) return EPROTO;
    memcpy(transcript + said, contents, 36);
    said += 36;
    bench_hmac(secret, secret_bytes, transcript, said, code);
    memcpy(transcript + said, code, sizeof code);
    memcpy(contents, code, sizeof code);
    said += sizeof code;
    error = send_frame(remote, PROOF, 0, 0, 0, 0, sizeof code);
    if (error != 0) return error;
    length = receive_frame(remote, WELCOME, 0);
    if (length != 72) return length < 0 ? (int)-length : EPROTO;
    memcpy(transcript, server_label, label);
    memcpy(transcript + said, contents, 40);
    bench_hmac(secret, secret_bytes, transcript, said + 40, code);
    return memcmp(code, contents + 40, sizeof code) == 0 ? 0 : EACCES;
}

bench_remote *bench_remote_connect(
    uint16_t port, const char *export, const unsigned char *secret, size_t secret_byte_count, int *error
) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    bench_remote *remote = aligned_alloc(64, (sizeof *remote + 63) / 64 * 64);
    if (remote == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    memset(remote, 0, sizeof *remote);
    remote->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *error = 0;
    if (remote->socket < 0 || connect(remote->socket, (struct sockaddr *)&address, sizeof address) != 0) *error = errno;
    if (*error == 0) {
        setsockopt(remote->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        // A server that never answers ends the measurement, not the patience of whoever runs it.
        struct timeval patience = {.tv_sec = 30};
        setsockopt(remote->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        *error = shake_hands(remote, export, secret, secret_byte_count);
    }
    if (*error == 0) return remote;
    bench_remote_close(remote);
    return NULL;
}

uintptr_t bench_remote_read(bench_remote *remote, uint64_t offset, size_t byte_count, int *error) {
    remote->number++;
    *error = send_frame(remote, READ, 1, remote->number, offset, byte_count, 0);
    if (*error != 0) return 0;
    ssize_t length = receive_frame(remote, ANSWER, remote->number);
    if (length == 0 && remote->frame[5] == ZERO && byte_count <= CAPACITY) {
        memset(remote->frame + HEADER, 0, byte_count);
    } else if (length != (ssize_t)byte_count) {
        *error = length < 0 ? (int)-length : EPROTO;
        return 0;
    }
    return (uintptr_t)(remote->frame + HEADER);
}

void bench_remote_close(bench_remote *remote) {
    if (remote->socket >= 0) close(remote->socket);
    free(remote);
}
