#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options options = {
    .mib = 64, .regions = 1, .threads = 2, .page_size = 4096, .percent = 100, .seed = 1, .descriptor = 1};

static uint64_t number(const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text) {
        fprintf(stderr, "monitor-stand-in: '%s' is no number\n", text);
        exit(3);
    }
    return value;
}

void parse(int count, char **arguments) {
    struct { const char *name; uint64_t *value; } numbers[] = {
        {"--mib", &options.mib}, {"--regions", &options.regions}, {"--threads", &options.threads},
        {"--page-size", &options.page_size}, {"--percent", &options.percent}, {"--count", &options.count}, {"--split", &options.split},
        {"--padding", &options.padding}, {"--seed", &options.seed}};
    struct { const char *name; int *flag, value; } flags[] = {
        {"--descending", &options.descending, 1}, {"--no-descriptor", &options.descriptor, 0},
        {"--balloon", &options.balloon, 1}, {"--wait", &options.wait, 1}, {"--half", &options.half, 1},
        {"--old-field", &options.old_field, 1}, {"--gate", &options.gate, 1}};
    for (int index = 1; index < count; index++) {
        int known = 0;
        for (size_t flag = 0; flag < sizeof(flags) / sizeof(flags[0]); flag++)
            if (strcmp(arguments[index], flags[flag].name) == 0) *flags[flag].flag = flags[flag].value, known = 1;
        if (known) continue;
        if (index + 1 < count) {
            for (size_t at = 0; at < sizeof(numbers) / sizeof(numbers[0]); at++)
                if (strcmp(arguments[index], numbers[at].name) == 0) *numbers[at].value = number(arguments[index + 1]), known = 1;
            if (strcmp(arguments[index], "--socket") == 0) options.socket = arguments[index + 1], known = 1;
            if (strcmp(arguments[index], "--make-image") == 0) options.image = arguments[index + 1], known = 1;
        }
        if (!known) {
            fprintf(stderr, "monitor-stand-in: what is '%s'?\n", arguments[index]);
            exit(3);
        }
        index++;
    }
    if ((!options.socket && !options.image) || options.regions < 1 || options.regions > most_regions
        || options.threads < 1 || options.threads > most_threads || options.page_size < 4096
        || (options.mib << 20) / options.regions < options.page_size) {
        fputs("monitor-stand-in: --socket PATH or --make-image PATH; up to 64 regions and threads\n", stderr);
        exit(3);
    }
}
