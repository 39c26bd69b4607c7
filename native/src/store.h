/* store.h: what a storage machine remembers, and how a call becomes part of it.
 *
 * There are two images of its memory, the same in all processes: the live one, in which
 * the machines run, and the committed one. Between calls they are equal. A call that
 * ends well is copied to the committed image, any other is taken back from it; a file
 * may keep a journal of the committed image. Scratch memory (call stack, inbox,
 * exchange page) belongs to no image: no call finds there what another one left.
 *
 * Whoever holds the lock owns both images. When he dies, the next one to take the lock
 * repairs: the shared state word says what was going on. */
#ifndef SKERRY_STORE_H
#define SKERRY_STORE_H

#include "dirty.h"
#include "journal.h"
#include "layout.h"
#include "lock.h"
#include "process.h"
#include "tasks.h"

enum phase {
    PHASE_IDLE,    /* both images are the state after the last commit */
    PHASE_RUNNING, /* a call may write to the live image: the committed one is true */
    PHASE_COMMITTING, /* the call has ended well: the live image is true */
    PHASE_CHECKPOINT, /* as IDLE, but for the file: it begins a new log */
};

struct store_counts {
    uint64_t calls, failed, repaired;
};

/* Shared by the processes, in a memfd of its own. All but the lock, (synced) and (lost)
 * is changed with the lock held. */
struct control {
    uint32_t magic, size;
    uint32_t moved; /* another build has the state: no call is taken any more */
    struct lock lock;
    struct lock syncing; /* held while the file is synced */
    uint32_t state;      /* phase | index of the place that is true << 8 */
    uint32_t waits;      /* answers wait for journal_sync: durability fsync */
    uint32_t lost;       /* a sync has failed: nothing more is committed */
    uint64_t synced;     /* sequence number up to which a power loss loses nothing */
    uint64_t reached;    /* of the last commit, when the lock was last given back */
    struct journal_place places[2];
    struct process process, committed;
    struct store_counts counts;
};

/* A process's hold on a store. */
struct store {
    struct control *control;
    struct tasks *tasks;       /* behind it */
    uint8_t *live, *committed; /* mappings of (size) bytes */
    uint64_t size;
    struct layout layout;
    int control_fd, live_fd, committed_fd;
    int file; /* the journal, or -1 */
    struct lock_seat seat;
    int joined; /* (seat) is ours */
    struct journal_record record;
    uint32_t *changed; /* page numbers; room for all pages */
    uint32_t found;    /* how many the last call has changed */
};

/* Where the state is kept, and what it is of. */
struct store_file {
    int fd; /* open for reading and writing */
    const char *path;
    struct journal_id id;
    int waits; /* durability fsync */
};

/* Descriptors from which a store is made: its memory; memory for control, without a
 * size yet, and the same opened anew (see lock_join_with), or both -1: then it makes
 * them. */
struct store_fds {
    int live, control, own;
};

/* Makes a store of the memory in fds.live, as it is now, with (process); or as (file)
 * has it, unless that is NULL or new. Takes (fds) and the file's descriptor over,
 * whatever comes back. store_close undoes it, also half made. 0 or -errno. */
int store_create(struct store *s, struct store_fds fds, const struct layout *layout,
                 const struct process *process, const struct store_file *file,
                 struct skerry_error *err);

/* Joins the store that another process has made; takes the descriptors over, whatever
 * comes back: live, control, committed image, file or -1, and control opened anew for
 * this process or -1 (see lock_join_with). */
#define STORE_FDS 5
int store_attach(struct store *s, const int fds[STORE_FDS], const struct layout *layout,
                 struct skerry_error *err);
void store_close(struct store *s);

/* Takes the lock, waiting until (until) at most, and repairs what a dead owner left.
 * 0; -EAGAIN: not yet, as lock_take; or, and the lock is not held, -ESHUTDOWN: the
 * state has moved to another build; -errno: the file could not be repaired. */
int store_take(struct store *s, struct lock_ticket *ticket, uint64_t until);
void store_give(struct store *s);

/* With the lock held: brings to its end, or undoes, what an owner left. 0 or -errno. */
int store_repair(struct store *s);

/* With the lock held: a call begins, which has written nothing yet. */
void store_begin(struct store *s);

/* The call has ended well; the pages that it may have written are on (dirty), or
 * anywhere if that is NULL. 0; or -errno: it could not be written to the file, and has
 * been taken back. */
int store_commit(struct store *s, const struct dirty *dirty);

/* The call is taken back. */
void store_roll_back(struct store *s, const struct dirty *dirty);

/* With the lock held, between calls: begins a new log in the file. 0 or -errno. */
int store_checkpoint(struct store *s);

/* Number of the last commit. With the lock held, it is that of the caller's own. */
uint64_t store_sequence(const struct store *s);

/* Tells if an answer that has seen commit (sequence) must wait for store_sync. */
int store_must_wait(const struct store *s, uint64_t sequence);

/* Makes all commits so far outlive a power loss. Blocks; any thread, without the lock.
 * 0 or -errno: then storage takes no more commits. */
int store_sync(struct store *s);

#endif
