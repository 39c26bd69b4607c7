/* fetch.h: what a program fetches while its machine stands still. */
#ifndef SKERRY_FETCH_H
#define SKERRY_FETCH_H

#include "machine.h"

/* One block of memory, made by call_fetch.c; (wanted) points into (bytes). */
struct fetch {
    struct skerry_wanted wanted;
    uint64_t result, headers, content; /* where the guest wants what comes of it */
    uint64_t begun;                    /* clock_now() */
    char bytes[];
};

/* Ends m->fetch: writes (got) where the program wants it, and lets the next machine_run
 * go on behind the call. Its deadline moves by the time that the fetch has taken. */
void fetch_end(struct machine *m, const struct skerry_fetched *got);

#endif
