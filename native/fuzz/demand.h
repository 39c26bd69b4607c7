/* demand.h: what must hold, or the fuzzer has a finding. */
#ifndef SKERRY_FUZZ_DEMAND_H
#define SKERRY_FUZZ_DEMAND_H

#include <stdio.h>
#include <stdlib.h>

#define demand(what)                                                                   \
    do {                                                                               \
        if (!(what)) {                                                                 \
            fprintf(stderr, "ERROR %s:%d: not so: %s\n", __FILE__, __LINE__, #what);   \
            abort();                                                                   \
        }                                                                              \
    } while (0)

#endif
