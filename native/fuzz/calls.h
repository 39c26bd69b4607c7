/* calls.h: the system calls that a program makes, and with what. */
#ifndef SKERRY_FUZZ_CALLS_H
#define SKERRY_FUZZ_CALLS_H

#include "arguments.h"

/* Fills the registers of (p) for one of them. */
void calls_prepare(struct processor *p);

/* Host calls likewise. */
void calls_prepare_host(struct processor *p);

#endif
