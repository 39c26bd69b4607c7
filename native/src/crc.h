/* crc.h: CRC-32C, the checksum that the processor computes. */
#ifndef SKERRY_CRC_H
#define SKERRY_CRC_H

#include <stdint.h>

/* The CRC-32C of (len) bytes that follow bytes whose CRC is (crc); 0 when none do. */
uint32_t crc32c(uint32_t crc, const void *bytes, uint64_t len);

#endif
