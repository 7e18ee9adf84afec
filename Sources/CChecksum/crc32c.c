#include "CChecksum.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u // bits reversed
#define LANE 1024              // bytes; a page is three lanes and a bit

static uint32_t tables[8][256];
// The effect of LANE and of 2 * LANE zero bytes on a checksum, for each byte of it.
static uint32_t skip_one[4][256], skip_two[4][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t portable(uint32_t crc, const unsigned char *next, size_t count) {
    for (; count && ((uintptr_t)next & 7); count--) crc = tables[0][(crc ^ *next++) & 255] ^ crc >> 8;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        word ^= crc;
        crc = tables[7][word & 255] ^ tables[6][word >> 8 & 255] ^ tables[5][word >> 16 & 255]
            ^ tables[4][word >> 24 & 255] ^ tables[3][word >> 32 & 255] ^ tables[2][word >> 40 & 255]
            ^ tables[1][word >> 48 & 255] ^ tables[0][word >> 56];
    }
    while (count--) crc = tables[0][(crc ^ *next++) & 255] ^ crc >> 8;
    return crc;
}

static void fill_skip(uint32_t table[4][256], size_t count) {
    static const unsigned char zeroes[2 * LANE];
    for (int byte = 0; byte < 4; byte++)
        for (uint32_t value = 0; value < 256; value++)
            table[byte][value] = portable(value << 8 * byte, zeroes, count);
}

static void fill_tables(void) {
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        tables[0][value] = crc;
    }
    for (int table = 1; table < 8; table++)
        for (int value = 0; value < 256; value++) {
            uint32_t crc = tables[table - 1][value];
            tables[table][value] = tables[0][crc & 255] ^ crc >> 8;
        }
    fill_skip(skip_one, LANE);
    fill_skip(skip_two, 2 * LANE);
}

#if defined(__x86_64__)
#define HARDWARE __attribute__((target("sse4.2")))
#define STEP8(crc, word) __builtin_ia32_crc32di(crc, word)
#define STEP1(crc, byte) __builtin_ia32_crc32qi((uint32_t)(crc), byte)
static int has_hardware(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__)
#include <sys/auxv.h>
#define HARDWARE __attribute__((target("crc")))
#define STEP8(crc, word) __builtin_arm_crc32cd((uint32_t)(crc), word)
#define STEP1(crc, byte) __builtin_arm_crc32cb((uint32_t)(crc), byte)
static int has_hardware(void) { return (getauxval(AT_HWCAP) & 1 << 7) != 0; } // HWCAP_CRC32
#endif

#ifdef HARDWARE
static inline uint32_t skip(uint32_t table[4][256], uint32_t crc) {
    return table[0][crc & 255] ^ table[1][crc >> 8 & 255] ^ table[2][crc >> 16 & 255] ^ table[3][crc >> 24];
}

static inline uint64_t load(const unsigned char *from) {
    uint64_t word;
    memcpy(&word, from, 8);
    return word;
}

// The instruction takes three cycles, and one can be begun in each: three lanes at a time.
HARDWARE static uint32_t hardware(uint32_t start, const unsigned char *next, size_t count) {
    uint64_t crc = start;
    while (count >= 3 * LANE) {
        uint64_t second = 0, third = 0;
        for (size_t at = 0; at < LANE; at += 8) {
            crc = STEP8(crc, load(next + at));
            second = STEP8(second, load(next + LANE + at));
            third = STEP8(third, load(next + 2 * LANE + at));
        }
        crc = skip(skip_two, (uint32_t)crc) ^ skip(skip_one, (uint32_t)second) ^ (uint32_t)third;
        next += 3 * LANE;
        count -= 3 * LANE;
    }
    for (; count >= 8; count -= 8, next += 8) crc = STEP8(crc, load(next));
    while (count--) crc = STEP1(crc, *next++);
    return (uint32_t)crc;
}
#endif

uint32_t faultline_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
    pthread_once(&once, fill_tables);
    return ~portable(~crc, bytes, count);
}

uint32_t faultline_crc32c(uint32_t crc, const void *bytes, size_t count) {
    pthread_once(&once, fill_tables);
#ifdef HARDWARE
    if (has_hardware()) return ~hardware(~crc, bytes, count);
#endif
    return ~portable(~crc, bytes, count);
}
