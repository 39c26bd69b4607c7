/* ledger.h: a small store for tests, whose state after so many commits is known: commit
 * n writes n to pages in several places, and to what the host knows of the program. */
#ifndef LEDGER_H
#define LEDGER_H

#include "store.h"
#include "watchdog.h"

#define SECOND 1000000000UL
#define NEVER (clock_now() + 100 * SECOND) /* a test that waits so long hangs */

/* Stands in for what no test can have: a disk that fails, and a log of megabytes. */
struct ledger_disk {
    int sync_error, checkpoint_error; /* -errno that these return, or 0 */
    int is_long;                      /* a checkpoint is due after every commit */
};
extern struct ledger_disk ledger_disk;

/* Pages that commits write to, those of the state first. */
#define LEDGER_STATE 4
#define LEDGER_PAGES (LEDGER_STATE + 3)
uint64_t ledger_page(int index);

struct layout ledger_layout(void);

/* A new store, or what the file (path) has, unless that is NULL. 0 or -errno. */
int ledger_create(struct store *s, const char *path, int waits,
                  struct skerry_error *err);

/* Another process's hold on the store (of), or another one of this process. */
int ledger_join(struct store *s, const struct store *of, struct skerry_error *err);

/* With the lock held: a call begins and does what commit (n) does. The pages are on
 * (dirty), unless that is NULL. */
void ledger_write(struct store *s, struct dirty *dirty, uint64_t n);

/* That, then a commit of it as the next. What store_commit returns. */
int ledger_commit(struct store *s, struct dirty *dirty);

/* The number of commits that the store is exactly the state after, in both images, and
 * says so; or -1. */
int64_t ledger_state(struct store *s);

struct dirty ledger_dirty(const struct store *s);

#endif
