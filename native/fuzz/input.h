/* input.h: what is left of the fuzzer's input, read number by number. */
#ifndef SKERRY_FUZZ_INPUT_H
#define SKERRY_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const uint8_t *input;
static size_t left;

/* The next (bytes), at most 8, or as many as there are. */
static inline uint64_t number(size_t bytes)
{
    uint64_t value = 0;
    bytes = bytes < left ? bytes : left;
    memcpy(&value, input, bytes);
    input += bytes;
    left -= bytes;
    return value;
}

#endif
