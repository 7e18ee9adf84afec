// Plays 'criu page-server --lazy-pages': serves pages that were left in the dumped processes, to one client.
#define _GNU_SOURCE
#include "stand_in.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct frame {
    uint32_t command, pad;
    uint64_t pages, address, task;
};

static int read_all(int from, void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = read(from, (char *)bytes + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 0;
        done += (size_t)got;
    }
    return 1;
}

static int write_all(int to, const void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t put = send(to, (const char *)bytes + done, size - done, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return 0;
        done += (size_t)put;
    }
    return 1;
}

// Whether the page may be asked for: it was left in the task.
static int is_lazy(int pid, uint64_t address) {
    struct area list[areas];
    areas_of(pid, list);
    for (int index = 0; index < areas; index++)
        if (address >= list[index].start && address < list[index].start + list[index].pages * page_size()
            && !(list[index].status & 0x10000))
            return state_of(pid, &list[index], (address - list[index].start) / page_size()) == page_lazy;
    return 0;
}

static int answer(int to, struct frame request) {
    uint64_t page = page_size();
    if (request.task < first_pid || request.task >= first_pid + options.tasks || request.pages < 1) return 0;
    for (uint64_t number = 0; number < request.pages; number++)
        if (!is_lazy((int)request.task, request.address + number * page)) {
            fprintf(stderr, "restore-stand-in: asked for a page that is not there: %llx\n", (unsigned long long)request.address);
            return 0;
        }
    struct frame reply = request;
    reply.command = 6 | 4u << 16;
    // As many as lie in one piece of the pipe that they came through: any number from one on.
    if (is_fault("fewer")) reply.pages = mixed(request.address) % request.pages + 1;
    if (is_fault("bad-command")) reply.command = 0x999;
    if (is_fault("too-many")) reply.pages = request.pages + 1;
    if (is_fault("endless")) reply.pages = ~0ull;
    if (is_fault("none")) reply.pages = 0;
    if (is_fault("other-address")) reply.address += page;
    if (!write_all(to, &reply, sizeof(reply))) return 0;
    uint64_t *bytes = malloc(page);
    int ok = 1;
    for (uint64_t number = 0; ok && number < reply.pages && number < 100000; number++) {
        for (uint64_t at = 0; at < page; at += 8) bytes[at / 8] = word((int)request.task, request.address + number * page + at);
        ok = write_all(to, bytes, is_fault("cut-off") ? page / 2 : page) && !is_fault("cut-off");
    }
    free(bytes);
    return ok;
}

int serve_pages(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 1) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0) fail("listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    int client = accept(listener, NULL, NULL);
    if (client < 0) fail("accept");
    struct frame request;
    uint64_t count = 0;
    while (read_all(client, &request, sizeof(request))) {
        if (request.command == 0x1023 || request.command == 0x1024) {
            int32_t status = 0;
            write_all(client, &status, sizeof(status));
            printf("{\"requests\":%llu,\"closed\":1}\n", (unsigned long long)count);
            return 0;
        }
        if (request.command != 7) return 4;
        if (is_fault("deaf")) {
            // Neither reads nor answers any more, until the other side gives up.
            char byte[4096];
            while (read(client, byte, sizeof(byte)) > 0) {}
            return 0;
        }
        if (is_fault("lost") && count == 20) return 0;
        count++;
        if (!answer(client, request)) return 5;
    }
    return 6;
}
