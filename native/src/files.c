/* files.c: see files.h. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LARGE 0100000u /* O_LARGEFILE, which the kernel sets on its own */

/* What F_GETFL does not tell. */
#define ONLY_AT_OPEN ((uint32_t)(O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_CLOEXEC))

void files_init(struct files *f, int opener, enum opener_who who, struct files *start)
{
    *f = (struct files){.opener = start ? start->opener : opener,
                        .who = who,
                        .start = start,
                        .total = start ? &start->open : NULL};
    memset(f->own, 0xff, sizeof(f->own));
}

static int has_host(const struct open_file *file)
{
    return file->kind >= OPEN_FILE;
}

int files_host(const struct files *f, const struct descriptors *d, int index)
{
    return (d->open[index].at_start && f->start ? f->start : f)->own[index];
}

/* The one device that is there, in every program: it needs nothing of the host. */
static int is_null(const char *path)
{
    return strcmp(path, "/dev/null") == 0;
}

static int ask_null(enum opener_what what, struct opener_answer *answer)
{
    *answer = (struct opener_answer){.may = OPENER_READABLE | OPENER_WRITABLE,
                                     .stat = files_null()};
    return what == OPENER_LINK ? -EINVAL : 0;
}

struct stat files_null(void)
{
    return (struct stat){.st_mode = S_IFCHR | 0666,
                         .st_ino = 1, /* programs compare it with their output's, 0 */
                         .st_nlink = 1,
                         .st_blksize = 4096,
                         .st_rdev = makedev(1, 3)};
}

int files_ask(const struct files *f, enum opener_what what, uint32_t flags,
              const char *path, uint64_t until, struct opener_answer *answer)
{
    const struct opener_ask ask = {.what = what, .who = f->who, .flags = flags};
    if (is_null(path))
        return ask_null(what, answer);
    if (f->opener < 0)
        return -ENOENT;
    return opener_ask(f->opener, &ask, path, -1, until, answer);
}

/* One more descriptor, if there may be one. 0 or -ENFILE. */
static int count_one(struct files *f)
{
    if (f->total && __atomic_add_fetch(f->total, 1, __ATOMIC_RELAXED) > FILES_MAX) {
        __atomic_sub_fetch(f->total, 1, __ATOMIC_RELAXED);
        return -ENFILE;
    }
    f->count++;
    return 0;
}

static void let_go(struct files *f, int index)
{
    if (f->own[index] < 0)
        return;
    close(f->own[index]);
    f->own[index] = -1;
    f->count--;
    if (f->total)
        __atomic_sub_fetch(f->total, 1, __ATOMIC_RELAXED);
}

void files_drop(struct files *f)
{
    for (int i = 0; i < DESCRIPTORS && f->count; i++)
        let_go(f, i);
}

static int is_writing_state(const struct descriptors *d)
{
    for (int i = 0; i < DESCRIPTORS; i++)
        if (d->open[i].kind == OPEN_STATE)
            return 1;
    return 0;
}

static int kind_of(const struct opener_answer *answer)
{
    if (answer->is_state)
        return OPEN_STATE;
    return S_ISDIR(answer->stat.st_mode) ? OPEN_DIRECTORY : OPEN_FILE;
}

/* Open file (index) is of (kind) from now on. Its number, or -EMFILE. */
static long number_it(struct descriptors *d, int index, int kind, uint32_t flags)
{
    d->open[index] = (struct open_file){.flags = (flags & ~ONLY_AT_OPEN) | LARGE,
                                        .kind = (uint8_t)kind};
    return descriptors_add(d, index, 0, !!(flags & O_CLOEXEC));
}

/* The host's descriptor (host) becomes one of the program's. Takes it over. */
static long take(struct files *f, struct descriptors *d, int host, int kind,
                 uint32_t flags)
{
    int index = descriptors_place(d);
    int ret = index < 0 ? index : 0;
    if (kind == OPEN_STATE && is_writing_state(d))
        ret = -EBUSY; /* two copies: one would be lost */
    if (ret == 0)
        ret = count_one(f);
    if (ret < 0) {
        close(host);
        return ret;
    }
    f->own[index] = host;
    return number_it(d, index, kind, flags);
}

static long open_null(struct descriptors *d, int index, uint32_t flags)
{
    if (flags & O_CREAT && flags & O_EXCL)
        return -EEXIST;
    if (flags & O_DIRECTORY)
        return -ENOTDIR;
    return number_it(d, index, OPEN_NULL, flags);
}

long files_open(struct files *f, struct descriptors *d, const char *path,
                uint32_t flags, uint32_t mode, uint64_t until)
{
    struct opener_answer answer;
    const struct opener_ask ask = {
        .what = OPENER_OPEN, .who = f->who, .flags = flags, .mode = mode};
    int index = descriptors_place(d);
    if (index < 0)
        return -EMFILE;
    if (is_null(path))
        return open_null(d, index, flags);
    if (f->opener < 0)
        return flags & O_CREAT ? -EACCES : -ENOENT;
    int host = opener_ask(f->opener, &ask, path, -1, until, &answer);
    if (f->missing)
        missing_note(f->missing, path, host >= 0);
    return host < 0 ? host : take(f, d, host, kind_of(&answer), flags);
}

/* The copy becomes the state file. */
static int keep_state(const struct files *f, int index, uint64_t until)
{
    struct opener_answer answer;
    const struct opener_ask ask = {.what = OPENER_KEEP, .who = f->who};
    return opener_ask(f->opener, &ask, "/", f->own[index], until, &answer);
}

/* Ends open file (index), which has no number any more. */
static int end_file(struct files *f, struct descriptors *d, int index, int keep,
                    uint64_t until)
{
    int ret = 0;
    if (keep && d->open[index].kind == OPEN_STATE)
        ret = keep_state(f, index, until);
    if (!d->open[index].at_start || !f->start)
        let_go(f, index);
    descriptors_forget(d, index);
    return ret;
}

long files_close(struct files *f, struct descriptors *d, uint32_t fd, uint64_t until)
{
    int index = descriptors_close(d, fd);
    return index < 0 ? 0 : end_file(f, d, index, 1, until);
}

int files_end_call(struct files *f, struct descriptors *d, int keep, uint64_t until)
{
    int ret = 0;
    for (int i = 0; i < DESCRIPTORS; i++) {
        if (d->open[i].kind == OPEN_NONE || d->open[i].at_start)
            continue;
        int now = end_file(f, d, i, keep && ret == 0, until);
        ret = ret < 0 ? ret : now;
    }
    return ret;
}

static int is_for_writing(const struct open_file *file)
{
    return file->kind == OPEN_FILE && (file->flags & O_ACCMODE) != O_RDONLY;
}

int files_freeze(struct files *to, struct files *from, struct descriptors *d,
                 uint64_t until)
{
    int ret = 0;
    for (int i = 0; i < DESCRIPTORS && ret == 0; i++) {
        struct open_file *file = &d->open[i];
        if (file->kind == OPEN_STATE ||
            (from->who != OPENER_STORAGE && is_for_writing(file)))
            ret = end_file(from, d, i, 1, until);
        file->at_start = file->kind != OPEN_NONE;
    }
    int opener = from->opener;
    *to = *from;
    to->missing = NULL;
    files_init(from, -1, from->who, NULL);
    to->opener = opener < 0 ? -1 : fcntl(opener, F_DUPFD_CLOEXEC, 0);
    if (ret == 0 && opener >= 0 && to->opener < 0)
        ret = -errno;
    return ret;
}

int files_list(const struct files *f, const struct descriptors *d, int fds[DESCRIPTORS])
{
    int count = 0;
    for (int i = 0; i < DESCRIPTORS; i++)
        if (has_host(&d->open[i]))
            fds[count++] = f->own[i];
    return count;
}

int files_adopt(struct files *f, const struct descriptors *d, int opener,
                const int *fds, int count)
{
    int taken = 0;
    files_release(f);
    f->opener = opener;
    for (int i = 0; i < DESCRIPTORS && taken < count; i++)
        if (has_host(&d->open[i])) {
            f->own[i] = fds[taken++];
            f->count++;
        }
    int all[DESCRIPTORS];
    int ret = taken == count && files_list(f, d, all) == count ? 0 : -EINVAL;
    while (taken < count)
        close(fds[taken++]);
    return ret;
}

void files_release(struct files *f)
{
    files_drop(f);
    if (f->opener >= 0)
        close(f->opener);
    f->opener = -1;
}
