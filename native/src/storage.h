/* storage.h: the storage VM of a program: the same program, in memory that all workers
 * share, entered in place under one lock. */
#ifndef SKERRY_STORAGE_H
#define SKERRY_STORAGE_H

#include "snapshot.h"

/* Answers the storage call that (caller) has just made: its registers get the result,
 * or it fails with a reason. (s) may be NULL: the program has no storage. The caller's
 * deadline holds for the wait and the call. */
void storage_answer(struct skerry_storage *s, struct machine *caller);

struct skerry_storage *storage_share(struct skerry_storage *s);

#endif
