/* exception.h: exceptions of the CPU, by a program: signals, or its end. */
#ifndef SKERRY_EXCEPTION_H
#define SKERRY_EXCEPTION_H

#include "machine.h"

struct exception_frame; /* stubs.h */

/* Exception (vector) of the program, with (frame), becomes a signal if that has a
 * handler which can be called. Tells if it did. */
int exception_deliver(struct machine *m, unsigned vector,
                      const struct exception_frame *frame);

/* The program has failed by exception (vector), with (frame). */
void exception_fail(struct machine *m, unsigned vector,
                    const struct exception_frame *frame);

#endif
