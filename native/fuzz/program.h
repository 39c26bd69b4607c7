/* program.h: what a program does that the fuzzer has thought of, step by step. */
#ifndef SKERRY_FUZZ_PROGRAM_H
#define SKERRY_FUZZ_PROGRAM_H

#include "layout.h"
#include "processor.h"

/* Where things are for it, and which callbacks it registers: bit n is number n, and bit
 * 0 a function of storage. */
extern struct layout program_layout;
extern uint64_t program_callbacks;

/* What it has before its first step in start-up: descriptors of all kinds; threads and
 * handlers of signals. */
enum { KIT_DESCRIPTORS = 1, KIT_THREADS = 2 };
extern uint64_t program_kit;

/* A part of the input ends here: start-up, or a request. It is over after (steps), or
 * with the input; then the program waits, or answers. */
void program_begin(int booting, int steps);

/* Its steps so far, of all kinds. */
extern uint64_t program_steps;

#endif
