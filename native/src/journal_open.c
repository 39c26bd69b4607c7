/* journal_open.c: journal_open, see journal.h: which file is taken, and what its state
 * is. Nothing is written before it is clear that the file is ours and good. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "disk.h"
#include "journal.h"

#define STEP "storage file"
#define RESTORE "bring a copy back, or move it away to begin with none"

struct opening {
    const char *path;
    const struct journal_id *id;
    const struct journal_sink *sink;
    struct skerry_error *err;
    int fd;
    uint64_t size;
    uint8_t blocks[LABELS_END];
    struct label label[2];
    enum label_state state[2];
    struct journal_place place;
};

static int refuse(const struct opening *o, int code, const char *what)
{
    return skerry_refuse(o->err, code, STEP, "%.300s %s", o->path, what);
}

static int fail(const struct opening *o, int code)
{
    return skerry_refuse(o->err, code, STEP, "%.300s: %s", o->path, strerror(code));
}

/* --- The file --- */

/* A host that ends badly leaves no lock: it belongs to the open file. */
static int lock(const struct opening *o)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(o->fd, F_OFD_SETLK, &all) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return fail(o, errno);
    return refuse(o, EBUSY,
                  "is used by another skerry: stop it, or choose another file");
}

static int look_at_file(struct opening *o)
{
    struct stat st;
    if (fstat(o->fd, &st) < 0)
        return fail(o, errno);
    if (!S_ISREG(st.st_mode))
        return refuse(o, EINVAL, "is no regular file: choose another");
    int ret = lock(o);
    if (ret < 0)
        return ret;
    ret = disk_size(o->fd, &o->size);
    if (ret < 0)
        return fail(o, -ret);
    const uint64_t len = o->size < LABELS_END ? o->size : LABELS_END;
    ret = disk_read(o->fd, o->blocks, len, 0);
    return ret < 0 ? fail(o, -ret) : 0;
}

/* --- A new file --- */

/* Says that the file is ours before its first log is there, or a host that dies in
 * between would leave one that nobody takes. */
static int make_new(struct opening *o)
{
    struct label label;
    int ret = disk_cut(o->fd, LABELS_END);
    if (ret == 0)
        ret = disk_sync(o->fd);
    if (ret == 0)
        ret = label_make(&label, o->id, 0, LABELS_END);
    if (ret == 0)
        ret = label_write(o->fd, 0, &label);
    if (ret == 0)
        ret = disk_sync(o->fd);
    o->place = (struct journal_place){.start = LABELS_END, .end = LABELS_END};
    return ret < 0 ? fail(o, -ret) : 0;
}

static int is_zero(const uint8_t *bytes, uint64_t len)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* Tells if no log was ever whole: the steps of make_new, and what its power losses
 * leave. */
static int is_new(const struct opening *o)
{
    const int unlabelled = o->size == LABELS_END && is_zero(o->blocks, LABELS_END);
    const int labelled = o->size >= LABELS_END && o->state[0] == LABEL_GOOD &&
                         o->label[0].generation == 0 && o->state[1] == LABEL_EMPTY;
    return o->size == 0 || unlabelled || labelled;
}

/* --- A file that is there --- */

static int is_any(const struct opening *o, enum label_state state)
{
    return o->state[0] == state || o->state[1] == state;
}

static int refuse_unlabelled(const struct opening *o)
{
    if (is_any(o, LABEL_OTHER))
        return refuse(o, EINVAL, "is of another version's format: use that skerry");
    if (is_any(o, LABEL_DAMAGED))
        return refuse(o, EIO, "is damaged: " RESTORE);
    return refuse(o, EINVAL, "is no storage file: choose another");
}

/* A stranger may have written the text. */
static void make_printable(char text[sizeof(((struct journal_id *)0)->text)])
{
    const size_t last = sizeof(((struct journal_id *)0)->text) - 1;
    text[last] = 0;
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static int check_id(const struct opening *o, const struct label *label)
{
    struct journal_id theirs = label->id, ours = *o->id;
    if (memcmp(theirs.digest, ours.digest, sizeof(ours.digest)) == 0)
        return 0;
    make_printable(theirs.text);
    make_printable(ours.text);
    return skerry_refuse(
        o->err, ESTALE, STEP,
        "%.160s has the storage of %s, not of %s: choose another file, "
        "or move it away to begin with none",
        o->path, theirs.text, ours.text);
}

/* Reads the log that label (number) leads to. 1; 0: its FULL record is not whole, and
 * the sink has heard nothing; or -errno. */
static int read_log(struct opening *o, uint32_t number)
{
    const struct label *label = &o->label[number];
    struct journal_place *p = &o->place;
    *p = (struct journal_place){.generation = label->generation,
                                .start = label->start,
                                .end = label->start,
                                .chain = label_chain(label),
                                .header = number};
    if (o->state[number] != LABEL_GOOD || p->generation == 0 || p->start < LABELS_END)
        return 0;
    int ret = replay_record(o->fd, o->size, RECORD_FULL, p, o->sink);
    if (ret <= 0)
        return ret;
    p->full_bytes = p->end - p->start;
    do
        ret = replay_record(o->fd, o->size, RECORD_DELTA, p, o->sink);
    while (ret == 1);
    return ret < 0 ? ret : 1;
}

/* What is behind the log could follow a commit that is made again, exactly as it was:
 * it has to go, for good, before anything is appended. */
static int clean(struct opening *o)
{
    int ret = journal_void(o->fd, &o->place);
    if (ret == 0)
        ret = journal_trim(o->fd, &o->place);
    if (ret == 0)
        ret = disk_sync(o->fd);
    return ret < 0 ? fail(o, -ret) : 1;
}

static int read_state(struct opening *o)
{
    const uint32_t newer =
        o->state[1] == LABEL_GOOD &&
        (o->state[0] != LABEL_GOOD || o->label[1].generation > o->label[0].generation);
    int ret = check_id(o, &o->label[newer]);
    if (ret < 0)
        return ret;
    ret = read_log(o, newer);
    if (ret == 0) /* the power went while the label was written */
        ret = read_log(o, !newer);
    if (ret == 1)
        return clean(o);
    if (ret == 0 || ret == -EBADMSG || ret == -EIO)
        return refuse(o, EIO, "is damaged: " RESTORE);
    return fail(o, -ret);
}

static int take_file(struct opening *o)
{
    int ret = look_at_file(o);
    if (ret < 0)
        return ret;
    for (uint32_t i = 0; i < 2; i++)
        o->state[i] = label_parse(o->blocks, i, &o->label[i]);
    if (is_new(o))
        return make_new(o);
    return is_any(o, LABEL_GOOD) ? read_state(o) : refuse_unlabelled(o);
}

int journal_open(int fd, const char *path, const struct journal_id *id,
                 const struct journal_sink *sink, struct journal_place *place,
                 struct skerry_error *err)
{
    struct opening o = {.path = path, .id = id, .sink = sink, .err = err, .fd = fd};
    int ret = take_file(&o);
    if (ret >= 0)
        *place = o.place;
    return ret;
}
