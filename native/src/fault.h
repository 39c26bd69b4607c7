/* fault.h: page faults that the program may have. */
#ifndef SKERRY_FAULT_H
#define SKERRY_FAULT_H

#include "machine.h"
#include "stubs.h"

/* Gets memory for the far page that the program has touched, by what the processor
 * pushed in (frame), and has it go on there. Tells if that was the reason of the fault;
 * without memory the run has failed (m->reason). */
int fault_answer(struct machine *m, const struct exception_frame *frame);

#endif
