/* store_open.c: how a store is made, found in its file, joined by another process, and
 * left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images.h"
#include "memory.h"

#define CONTROL_MAGIC 0x6c746373 /* "sctl" */

static uint64_t control_size(void)
{
    return page_up(sizeof(struct control));
}

/* With the tasks behind it. */
static uint64_t mapped_size(void)
{
    return control_size() + tasks_size();
}

static int map_all(struct store *s, struct skerry_error *err)
{
    uint8_t *control = NULL;
    int ret = memory_map(s->control_fd, mapped_size(), MAP_LIVE, &control, err);
    if (ret < 0)
        return ret;
    s->control = (struct control *)(void *)control;
    s->tasks = (struct tasks *)(void *)(control + control_size());
    ret = memory_map(s->live_fd, s->size, MAP_LIVE, &s->live, err);
    if (ret == 0)
        ret = memory_map(s->committed_fd, s->size, MAP_LIVE, &s->committed, err);
    if (ret < 0)
        return ret;
    s->changed = malloc((s->size >> PAGE_SHIFT) * sizeof(*s->changed));
    return s->changed ? 0 : skerry_fail(err, "storage");
}

/* Takes a seat at the lock, with (own) if that was opened for us; what its last holder
 * left there is repaired. */
static int join(struct store *s, int own, struct skerry_error *err)
{
    struct lock *l = &s->control->lock;
    int ret = own < 0 ? lock_join(l, s->control_fd, &s->seat, err)
                      : lock_join_with(l, own, &s->seat, err);
    if (ret < 0)
        return ret;
    s->joined = 1;
    if (lock_inherit(&s->control->syncing, &s->seat))
        lock_give(&s->control->syncing, &s->seat);
    if (ret == 0)
        return 0;
    s->control->counts.repaired++;
    ret = store_repair(s);
    store_give(s);
    errno = -ret;
    return ret < 0 ? skerry_fail(err, "storage repair") : 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void begin(struct store *s, int live, int control, int committed, int file,
                  const struct layout *layout)
{
    *s = (struct store){.layout = *layout,
                        .size = layout->slot_size,
                        .control_fd = control,
                        .live_fd = live,
                        .committed_fd = committed,
                        .file = file};
}

static int make_control(struct store *s, struct skerry_error *err)
{
    if (s->control_fd < 0)
        s->control_fd = memory_create("skerry-storage", mapped_size(), err);
    else if (ftruncate(s->control_fd, (off_t)mapped_size()) < 0)
        return skerry_fail(err, "storage control");
    return s->control_fd < 0 ? s->control_fd : 0;
}

static int make_shared(struct store *s, const struct process *process,
                       struct skerry_error *err)
{
    int ret = make_control(s, err);
    if (ret < 0)
        return ret;
    s->committed_fd = memory_create("skerry-committed", s->size, err);
    if (s->committed_fd < 0)
        return s->committed_fd;
    ret = map_all(s, err);
    if (ret < 0)
        return ret;
    s->control->magic = CONTROL_MAGIC;
    s->control->size = sizeof(*s->control);
    s->control->process = s->control->committed = *process;
    tasks_init(s->tasks);
    return 0;
}

/* Lines of the file's state go to the committed image, which is all zero. */
static int take_lines(void *context, uint64_t offset, const uint8_t *bytes,
                      uint64_t len)
{
    struct store *s = context;
    if (offset >= s->size || len > s->size - offset ||
        !images_keep(&s->layout, offset >> PAGE_SHIFT))
        return -EINVAL;
    memcpy(s->committed + offset, bytes, len);
    return 0;
}

static int take_extra(void *context, const uint8_t *bytes, uint64_t len)
{
    struct store *s = context;
    if (len != sizeof(s->control->committed))
        return -EINVAL;
    /* What is open is what this start has opened. */
    const struct descriptors files = s->control->committed.files;
    memcpy(&s->control->committed, bytes, len);
    s->control->committed.files = files;
    return 0;
}

/* The state of the memory as it is begins the file. */
static int begin_file(struct store *s, struct skerry_error *err)
{
    images_copy(s->committed, s->live, s->changed, images_compare_all(s));
    if (s->file < 0)
        return 0;
    int ret = store_checkpoint(s);
    errno = -ret;
    return ret < 0 ? skerry_fail(err, "storage file") : 0;
}

/* The file's state replaces that of the memory. */
static void continue_file(struct store *s)
{
    images_copy(s->live, s->committed, s->changed, images_compare_both(s));
    s->control->process = s->control->committed;
    s->control->synced = 0;
}

static int open_file(struct store *s, const struct store_file *file,
                     struct skerry_error *err)
{
    struct control *c = s->control;
    const struct journal_sink sink = {s, take_lines, take_extra};
    int ret = journal_open(s->file, file->path, &file->id, &sink, &c->places[0], err);
    if (ret < 0)
        return ret;
    c->waits = (uint32_t)file->waits;
    if (ret == 0)
        return begin_file(s, err);
    continue_file(s);
    return 0;
}

int store_create(struct store *s, struct store_fds fds, const struct layout *layout,
                 const struct process *process, const struct store_file *file,
                 struct skerry_error *err)
{
    begin(s, fds.live, fds.control, -1, file ? file->fd : -1, layout);
    int ret = make_shared(s, process, err);
    if (ret < 0) {
        close_fd(fds.own);
        return ret;
    }
    ret = join(s, fds.own, err);
    if (ret < 0)
        return ret;
    ret = file ? open_file(s, file, err) : begin_file(s, err);
    s->control->reached = store_sequence(s);
    return ret;
}

int store_attach(struct store *s, const int fds[STORE_FDS], const struct layout *layout,
                 struct skerry_error *err)
{
    begin(s, fds[0], fds[1], fds[2], fds[3], layout);
    int ret = map_all(s, err);
    if (ret == 0 &&
        (s->control->magic != CONTROL_MAGIC || s->control->size != sizeof(*s->control)))
        ret = skerry_refuse(err, EINVAL, "storage",
                            "it was made by another version of skerry");
    if (ret < 0) {
        close_fd(fds[4]);
        return ret;
    }
    return join(s, fds[4], err);
}

void store_close(struct store *s)
{
    if (s->joined)
        lock_leave(&s->seat);
    memory_unmap((uint8_t *)s->control, mapped_size());
    memory_unmap(s->live, s->size);
    memory_unmap(s->committed, s->size);
    close_fd(s->control_fd);
    close_fd(s->live_fd);
    close_fd(s->committed_fd);
    close_fd(s->file);
    journal_free(&s->record);
    free(s->changed);
}
