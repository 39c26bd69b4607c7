/* files.h: the host's descriptors behind the files that a program has open, and where
 * it asks for more.
 *
 * What start-up has opened belongs to the snapshot, and is there in every clone and in
 * every process. What a request or a storage call opens is its machine's own, and is
 * closed when it ends. */
#ifndef SKERRY_FILES_H
#define SKERRY_FILES_H

#include "descriptors.h"
#include "error.h"
#include "missing.h"
#include "opener.h"

/* Open at a time, by the requests or the storage calls of one program in one process:
 * more would take the descriptors that others need. */
#define FILES_MAX 128

#define STATE_MAX (64UL << 20) /* bytes of a state file */

struct files {
    int opener;          /* the snapshot's or the caller's; -1: there are no files */
    enum opener_who who; /* that asks */
    const struct files *start; /* of the snapshot, or NULL: this is a start-up */
    uint32_t open;             /* of (start): FILES_MAX at most, in all machines */
    uint32_t *total;           /* that count, or NULL */
    uint32_t count;            /* own ones */
    int own[DESCRIPTORS];      /* by the index of the open file; -1: none */
    struct missing *missing;   /* where to note what start-up does not find, or NULL */
};

/* No files yet. (start), which has to outlive (f), is that of the snapshot, or NULL; so
 * is its opener, which else is (opener). */
void files_init(struct files *f, int opener, enum opener_who who, struct files *start);

/* The host's descriptor of open file (index), or -1. */
int files_host(const struct files *f, const struct descriptors *d, int index);

/* What /dev/null is. */
struct stat files_null(void);

/* Asks about (path), absolute, until (until) at most. As opener_ask, without a
 * descriptor: 0 or -errno. */
int files_ask(const struct files *f, enum opener_what what, uint32_t flags,
              const char *path, uint64_t until, struct opener_answer *answer);

/* open(): the lowest number, or -errno. */
long files_open(struct files *f, struct descriptors *d, const char *path,
                uint32_t flags, uint32_t mode, uint64_t until);

/* close() of (fd), which is open. 0, or -errno when the state file is not kept. */
long files_close(struct files *f, struct descriptors *d, uint32_t fd, uint64_t until);

/* A storage call has ended: closes what it has opened. With (keep), a state file that
 * it has not closed is kept. 0 or -errno. */
int files_end_call(struct files *f, struct descriptors *d, int keep, uint64_t until);

/* Closes the own descriptors, without looking at those of the program. */
void files_drop(struct files *f);

/* The start-up (from) is over: (to) takes its descriptors over, and owns them and a
 * copy of the opener from now on, until files_release. In a machine for requests, what
 * is open for writing is closed. 0 or -errno; then too, (to) is to be released. */
int files_freeze(struct files *to, struct files *from, struct descriptors *d,
                 uint64_t until);

/* Puts those that (d) has from start-up into (fds), in their order, and returns how
 * many; or takes them over from there, all (count), whatever comes back: 0, or -EINVAL
 * when they are not as many. */
int files_list(const struct files *f, const struct descriptors *d,
               int fds[DESCRIPTORS]);
int files_adopt(struct files *f, const struct descriptors *d, int opener,
                const int *fds, int count);
void files_release(struct files *f);

#endif
