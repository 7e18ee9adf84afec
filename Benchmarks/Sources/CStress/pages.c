#define _GNU_SOURCE
#include "pages.h"
#include "page_layout.h"

#include <string.h>
#include <sys/mman.h>

uintptr_t cstress_map(size_t byte_count) {
    void *memory = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? 0 : (uintptr_t)memory;
}

void cstress_unmap(uintptr_t address, size_t byte_count) { munmap((void *)address, byte_count); }

void cstress_prepare(uintptr_t area, size_t pages, size_t page_size, uintptr_t shadow) {
    for (size_t page = 0; page < pages; page++) {
        uintptr_t at = area + page * page_size;
        volatile uint64_t *words = words_of(at);
        pthread_mutex_init(mutex_of(at), NULL);
        words[COUNTER_WORD] = 1;
        for (size_t i = FIRST_CONSTANT_WORD; i < page_size / sizeof *words; i++) words[i] = constant(page, i);
        ((uint64_t *)shadow)[page] = 1;
    }
}

size_t cstress_verify(uintptr_t area, size_t pages, size_t page_size, uintptr_t shadow) {
    for (size_t page = 0; page < pages; page++) {
        volatile uint64_t *words = words_of(area + page * page_size);
        if (words[COUNTER_WORD] != ((const uint64_t *)shadow)[page]) return page;
        for (size_t i = FIRST_CONSTANT_WORD; i < page_size / sizeof *words; i++) {
            if (words[i] != constant(page, i)) return page;
        }
    }
    return pages;
}

uint64_t cstress_counter(uintptr_t area, size_t page, size_t page_size) {
    return words_of(area + page * page_size)[COUNTER_WORD];
}

uint64_t cstress_shadow(uintptr_t shadow, size_t page) { return ((const uint64_t *)shadow)[page]; }

void cstress_copy(uintptr_t destination, uintptr_t source, size_t byte_count) {
    memcpy((void *)destination, (const void *)source, byte_count);
}
