/* warmup.h: requests that nobody has made, to a program before it is frozen, so that
 * its clones begin with what it has prepared by then. */
#ifndef SKERRY_WARMUP_H
#define SKERRY_WARMUP_H

#include "storage.h"

/* Makes the requests that (o) asks for on (m), which waits, and leaves it waiting. Its
 * storage calls are answered by way of (call). 0 or -errno. */
int warmup_run(struct machine *m, const struct skerry_boot_options *o,
               struct storage_call *call, struct skerry_error *err);

#endif
