/* crc.c: see crc.h. Every x86-64 processor that has KVM also has SSE 4.2. */
#include "crc.h"

#include <nmmintrin.h>
#include <string.h>

__attribute__((target("sse4.2"))) uint32_t crc32c(uint32_t crc, const void *bytes,
                                                  uint64_t len)
{
    const uint8_t *at = bytes;
    uint64_t sum = ~crc, word;
    for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sum = _mm_crc32_u64(sum, word);
    }
    for (; len; at++, len--)
        sum = _mm_crc32_u8((uint32_t)sum, *at);
    return ~(uint32_t)sum;
}
