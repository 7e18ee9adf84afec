// CRC-32C (Castagnoli), as iSCSI, ext4 and SCTP have it: with the processor's instruction where there is one.
#ifndef CCHECKSUM_H
#define CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/// The checksum of `count` bytes that follow bytes with the checksum `crc`; 0 for none.
uint32_t faultline_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same without the processor's instruction, for tests of the one against the other.
uint32_t faultline_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

#endif
