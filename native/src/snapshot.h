/* snapshot.h: a frozen machine, and the cheap copies made from it. */
#ifndef SKERRY_SNAPSHOT_H
#define SKERRY_SNAPSHOT_H

#include "machine.h"
#include "shm.h"

struct skerry_snapshot {
    int references;
    int fd; /* slot 0; sealed unless it is storage, whose memory lives on in it */
    struct layout layout;
    uint8_t *frozen; /* read-only mapping of it; NULL for storage */
    struct process process;
    struct space space;     /* the far ranges of its address space */
    struct files files;     /* that start-up has opened */
    struct objects objects; /* likewise */
    struct program_facts facts;
    struct program_counters counters;
    struct regexes regexes;
    struct skerry_shm *shm;
    struct tasks *tasks;     /* that storage's main has ordered, or NULL */
    struct threads *threads; /* NULL: there is but one */
};

/* (m) waits for requests: notes the registers that every call of a function begins
 * with. 0 or -errno. */
int machine_freeze_registers(struct machine *m, struct skerry_error *err);

/* Freezes (m), which waits for requests, whose registers have been noted, and which
 * owns memfd (fd): takes over (fd), and ends (m), whatever comes back. 0 or -errno. */
int snapshot_freeze(struct machine *m, int fd, struct skerry_shm *shm,
                    struct skerry_snapshot **out, struct skerry_error *err);
struct skerry_snapshot *snapshot_share(struct skerry_snapshot *s);

/* Makes a machine of a snapshot: a clone with memory of its own, or with (live) the one
 * that works on the snapshot's memory itself. machine_close undoes it, also half made.
 * (process) is the clone's own, or shared. */
int machine_open(struct machine *m, struct skerry_snapshot *s, int live,
                 struct process *process, struct skerry_console *console,
                 struct skerry_error *err);
void machine_close(struct machine *m);

/* Makes a machine ready for its next request as the last one has left it. 0 or -errno.
 */
int machine_keep(struct machine *m);

/* Puts a clone back to the frozen state. Returns the pages copied, or -errno. */
int machine_reset(struct machine *m, const struct skerry_snapshot *s);

#endif
