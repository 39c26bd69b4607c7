/* error.h: how functions say what went wrong: a negative errno for the caller, and the
 * step and reason for the human. */
#ifndef SKERRY_ERROR_H
#define SKERRY_ERROR_H

#include "skerry.h"

/* Notes that (step) failed with errno; returns -errno. (err) may be NULL. */
int skerry_fail(struct skerry_error *err, const char *step);

/* Notes that (step) failed for the reason given in printf's way; returns -code. */
__attribute__((format(printf, 4, 5))) int skerry_refuse(struct skerry_error *err,
                                                        int code, const char *step,
                                                        const char *fmt, ...);

#endif
