// Stands in for CRIU in the tests of lazy-pages: writes the images of a checkpoint, restores it, or serves its pages.
//
// Ends with status 0 when all that was touched was right; 1: wrong contents; 2: it could not be set up; 3: the arguments.

#include "stand_in.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t number(const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text) {
        fprintf(stderr, "restore-stand-in: '%s' is no number\n", text);
        exit(3);
    }
    return value;
}

static void parse(int count, char **arguments) {
    struct { const char *name; uint64_t *value; } numbers[] = {
        {"--seed", &options.seed}, {"--tasks", &options.tasks}, {"--pages", &options.pages},
        {"--threads", &options.threads}, {"--zombies", &options.zombies}};
    struct { const char *name; const char **value; } texts[] = {
        {"--images", &options.images}, {"--work", &options.work}, {"--deeds", &options.deeds}, {"--fault", &options.fault}};
    struct { const char *name; int *flag; } flags[] = {{"--remote", &options.remote}, {"--hold", &options.hold}};
    for (int index = 2; index < count; index++) {
        int known = 0;
        for (size_t at = 0; at < sizeof(flags) / sizeof(flags[0]); at++)
            if (strcmp(arguments[index], flags[at].name) == 0) *flags[at].flag = known = 1;
        if (known) continue;
        for (size_t at = 0; index + 1 < count && at < sizeof(numbers) / sizeof(numbers[0]); at++)
            if (strcmp(arguments[index], numbers[at].name) == 0) *numbers[at].value = number(arguments[index + 1]), known = 1;
        for (size_t at = 0; index + 1 < count && at < sizeof(texts) / sizeof(texts[0]); at++)
            if (strcmp(arguments[index], texts[at].name) == 0) *texts[at].value = arguments[index + 1], known = 1;
        if (!known) {
            fprintf(stderr, "restore-stand-in: what is '%s'?\n", arguments[index]);
            exit(3);
        }
        index++;
    }
    if (options.tasks + options.zombies < 1 || options.tasks + options.zombies > most_tasks || options.pages < 16
        || options.pages > 1u << 16 || options.threads < 1 || options.threads > 64) {
        fputs("restore-stand-in: up to 64 tasks and threads, 16 to 65536 pages\n", stderr);
        exit(3);
    }
}

int main(int count, char **arguments) {
    parse(count, arguments);
    alarm(patience);
    if (count > 1 && strcmp(arguments[1], "images") == 0 && options.images) return write_images();
    if (count > 1 && strcmp(arguments[1], "restore") == 0 && options.work) return restore();
    if (count > 1 && strcmp(arguments[1], "page-server") == 0) return serve_pages();
    fputs("restore-stand-in: images --images DIR, restore --work DIR, or page-server\n", stderr);
    return 3;
}
