// Writes the images of the checkpoint, as criu dump does.
#define _GNU_SOURCE
#include "stand_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct message {
    uint8_t bytes[4096];
    uint32_t size;
};

static void put_varint(struct message *to, uint64_t value) {
    do {
        to->bytes[to->size++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
}

static void put(struct message *to, int field, uint64_t value) {
    put_varint(to, (uint64_t)field << 3);
    put_varint(to, value);
}

static void put_message(struct message *to, int field, const struct message *inner) {
    put_varint(to, (uint64_t)field << 3 | 2);
    put_varint(to, inner->size);
    memcpy(to->bytes + to->size, inner->bytes, inner->size);
    to->size += inner->size;
}

static FILE *create(const char *form, int number) {
    char name[64], path[4096];
    snprintf(name, sizeof(name), form, number);
    snprintf(path, sizeof(path), "%s/%s", options.images, name);
    FILE *file = fopen(path, "wb");
    if (!file) fail(path);
    return file;
}

static void write_all(FILE *file, const void *bytes, size_t size) {
    if (fwrite(bytes, 1, size, file) != size) fail("fwrite");
}

static void write_word(FILE *file, uint32_t value) {
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    write_all(file, bytes, 4);
}

static void write_record(FILE *file, const struct message *message) {
    write_word(file, message->size);
    write_all(file, message->bytes, message->size);
}

static FILE *create_image(const char *form, int number, uint32_t magic) {
    FILE *file = create(form, number);
    write_word(file, 0x54564319);
    write_word(file, magic);
    return file;
}

static void finish(FILE *file) {
    if (fclose(file) != 0) fail("fclose");
}

static void write_mappings(int pid, const struct area *list) {
    struct message mm = {.size = 0};
    for (int field = 1; field <= 11; field++) put(&mm, field, list[0].start + (uint64_t)field);
    put(&mm, 12, 1);
    for (int count = 0; count < 4; count++) put(&mm, 13, (uint64_t)count);
    for (int index = 0; index < areas; index++) {
        const struct area *area = &list[index];
        struct message vma = {.size = 0};
        put(&vma, 1, area->start);
        put(&vma, 2, area->start + area->pages * page_size());
        put(&vma, 3, 0);
        put(&vma, 4, 0);
        put(&vma, 5, 3);
        put(&vma, 6, area->flags);
        put(&vma, 7, area->status);
        put(&vma, 8, 1);  // -1, zigzag
        put_message(&mm, 14, &vma);
    }
    put(&mm, 15, 1);
    FILE *file = create_image("mm-%d.img", pid, 0x57492820);
    write_record(file, &mm);
    finish(file);
}

static void write_run(FILE *map, uint64_t start, uint64_t pages, enum page_state state) {
    struct message entry = {.size = 0};
    put(&entry, 1, start);
    put(&entry, 2, 0);
    put(&entry, 4, state == page_restored ? 4 : options.remote ? 2 : 2 | 4);
    put(&entry, 5, pages);
    write_record(map, &entry);
}

static void write_pages(int pid, const struct area *list) {
    FILE *map = create_image("pagemap-%d.img", pid, 0x56084025), *pages = create("pages-%d.img", pid - first_pid + 1);
    struct message head = {.size = 0};
    put(&head, 1, (uint64_t)(pid - first_pid + 1));
    write_record(map, &head);
    uint64_t page = page_size(), start = 0, count = 0;
    enum page_state kind = page_absent;
    uint64_t *bytes = malloc(page);
    for (int index = 0; index < areas; index++) {
        const struct area *area = &list[index];
        uint64_t first = area->pages > 1u << 16 ? area->pages / 2 : 0, end = area->pages > 1u << 16 ? first + 8 : area->pages;
        for (uint64_t number = first; number < end; number++) {
            enum page_state state = state_of(pid, area, number);
            uint64_t address = area->start + number * page;
            if (state == page_absent) continue;
            // Runs go on across mappings that touch.
            if (state != kind || address != start + count * page) {
                if (count) write_run(map, start, count, kind);
                start = address;
                count = 0;
                kind = state;
            }
            count++;
            if (state == page_lazy && options.remote) continue;
            for (uint64_t at = 0; at < page; at += 8) bytes[at / 8] = word(pid, address + at);
            write_all(pages, bytes, page);
        }
    }
    if (count) write_run(map, start, count, kind);
    free(bytes);
    finish(map);
    finish(pages);
}

int write_images(void) {
    FILE *tree = create_image("pstree.img", 0, 0x50273030);
    for (uint64_t index = 0; index < options.tasks + options.zombies; index++) {
        int pid = first_pid + (int)index;
        struct message record = {.size = 0};
        put(&record, 1, (uint64_t)pid);
        put(&record, 2, index ? first_pid : 0);
        put(&record, 3, first_pid);
        put(&record, 4, first_pid);
        put(&record, 5, (uint64_t)pid);
        write_record(tree, &record);
        if (index >= options.tasks) continue;
        struct area list[areas];
        areas_of(pid, list);
        write_mappings(pid, list);
        write_pages(pid, list);
    }
    finish(tree);
    return 0;
}
