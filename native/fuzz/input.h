/* input.h: what is left of the fuzzer's input, read number by number. */
#ifndef SKERRY_FUZZ_INPUT_H
#define SKERRY_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t *input;
extern size_t left;

/* The next (bytes), at most 8, or as many as there are. */
uint64_t number(size_t bytes);

/* One of (count) by the next byte. */
static inline uint64_t choice(uint64_t count)
{
    return number(1) % count;
}

/* Copies at most (most) bytes to (to). Returns how many there were. */
size_t bytes(void *to, size_t most);

#endif
