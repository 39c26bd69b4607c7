/* journal.h: the file that makes a program's storage outlive the host.
 *
 *      label | label | ... FULL | DELTA | DELTA | ...
 *
 * A log is a FULL record of the state and the commits since, one behind the other; the
 * newer label tells where it begins. What is not whole at its end was never
 * acknowledged.
 *
 * One caller at a time, of any process that has the descriptor; what they know of the
 * file is a journal_place, which they share. No function changes it: a caller makes
 * (next) the truth in one step, or dies before and leaves a record that is not part of
 * the log. Then whoever comes next calls journal_void, and the file never tells of it.
 *
 * A killed host loses nothing that was written. A power loss may lose what was written
 * since the last journal_sync, but never a commit and not those behind it. */
#ifndef SKERRY_JOURNAL_H
#define SKERRY_JOURNAL_H

#include "error.h"
#include "label.h"
#include "record.h"
#include "replay.h"

/* Takes the file (fd), open for reading and writing, which stays the caller's; (path)
 * names it in messages. No other host may then use it until the last process that has
 * this description of it is gone. Reads it. 1: (sink) has the state; 0: there is none
 * yet, write it with journal_checkpoint; or -errno with the reason: EBUSY another host
 * has it; EINVAL it is not a storage file, or of another format; ESTALE the state of
 * another program; EIO damaged. A file that is refused is as it was. When it fails,
 * (sink) may have heard a part. Who has made the file syncs its directory before. */
int journal_open(int fd, const char *path, const struct journal_id *id,
                 const struct journal_sink *sink, struct journal_place *place,
                 struct skerry_error *err);

/* Writes a DELTA behind (place); (next) is the place behind it. 0; or -errno, and
 * nothing has happened. */
int journal_append(int fd, const struct journal_place *place, struct journal_record *r,
                   struct journal_place *next);

/* Undoes what a caller began at (place) before it died; also in case of power loss.
 * 0 or -errno. */
int journal_void(int fd, const struct journal_place *place);

/* Tells if the log is so long that a new one is cheaper. */
int journal_is_long(const struct journal_place *place);

/* Begins a new log with a FULL record of the state at (place); (next) is the place
 * behind it. With (sync) all of it outlives a power loss; without, one at the wrong
 * moment may cost the file. Call journal_trim when (next) is the truth. 0; or -errno,
 * and the old log is as it was. */
int journal_checkpoint(int fd, const struct journal_place *place,
                       struct journal_record *full, int sync,
                       struct journal_place *next);

/* Gives back all room in the file that is not (place)'s log. 0 or -errno. */
int journal_trim(int fd, const struct journal_place *place);

/* What was appended outlives a power loss from now on. 0; or -errno, and nothing is
 * known of what was written since the last: use the file no more. */
int journal_sync(int fd);

#endif
