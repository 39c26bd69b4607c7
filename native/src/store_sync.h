/* store_sync.h: syncs of a store's file, for the other files of the store. */
#ifndef SKERRY_STORE_SYNC_H
#define SKERRY_STORE_SYNC_H

#include "store.h"

/* One process syncs at a time: all share one open file, and the kernel tells of a
 * failure only once. Nobody may take the next sync's word before that is noted. */
void store_begin_sync(struct store *s);
void store_end_sync(struct store *s);

/* What came of a sync, or of a step that has one, is (ret). The kernel tells of a
 * failed sync once, and may have dropped what it could not write: later ones prove
 * nothing. A full disk is no such failure. Returns (ret). */
int store_note_sync(struct store *s, int ret);

/* Tells if a sync has failed: nothing more is committed. */
int store_is_lost(const struct store *s);

#endif
