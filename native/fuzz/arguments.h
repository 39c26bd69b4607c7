/* arguments.h: what a program passes to calls. */
#ifndef SKERRY_FUZZ_ARGUMENTS_H
#define SKERRY_FUZZ_ARGUMENTS_H

#include "processor.h"

/* A system call: its number, and a letter for each argument (arguments.c). */
struct call_row {
    uint16_t number;
    const char *kinds;
};

/* Puts an argument of (kind) together, with what it points at. */
uint64_t argument(struct processor *p, char kind);

/* An address: mostly one that the program may use, or the edge of something. */
uint64_t argument_address(void);

/* The program writes (len) bytes to a place of its own. Where. */
uint64_t argument_put(struct processor *p, const void *src, size_t len);

#endif
