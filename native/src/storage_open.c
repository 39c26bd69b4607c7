/* storage_open.c: how the storage VM of a program is made, joined and left. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage.h"

struct skerry_storage *storage_share(struct skerry_storage *s)
{
    if (s)
        __atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
    return s;
}

static struct skerry_storage *make(struct skerry_snapshot *snapshot, uint64_t call_ns,
                                   struct skerry_console *console)
{
    struct skerry_storage *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct skerry_storage){.references = 1,
                                 .snapshot = snapshot_share(snapshot),
                                 .console = console_share(console),
                                 .call_ns = call_ns};
    s->machine.vm.fd = s->machine.vm.vcpu_fd = -1;
    return s;
}

/* The store is there, or has failed to come: (ret). Takes over (s). The machine is made
 * when the first call comes. */
static int complete(struct skerry_storage *s, int ret, struct skerry_storage **out)
{
    s->broken = 1;
    if (ret < 0) {
        skerry_storage_close(s);
        return ret;
    }
    *out = s;
    return 0;
}

static int copy_fd(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Copies (count) descriptors; -1 stays that. 0, or -errno and there are none. */
static int copy_all(const int *fds, int *copies, int count, struct skerry_error *err)
{
    for (int i = 0; i < count; i++) {
        copies[i] = copy_fd(fds[i]);
        if (fds[i] >= 0 && copies[i] < 0) {
            int ret = skerry_fail(err, "storage");
            close_all(copies, i);
            return ret;
        }
    }
    return 0;
}

static void describe(const struct skerry_storage_file *file, int fd,
                     struct store_file *to)
{
    *to = (struct store_file){.fd = fd, .path = file->path, .waits = file->waits};
    memcpy(to->id.digest, file->digest, sizeof(to->id.digest));
    snprintf(to->id.text, sizeof(to->id.text), "%s", file->text);
}

/* What main has ordered begins to count, before another process can join. */
static void take_tasks(struct skerry_storage *s, struct skerry_snapshot *snapshot)
{
    tasks_take_over(s->store.tasks, snapshot->tasks);
    tasks_close(snapshot->tasks);
    snapshot->tasks = NULL;
}

int skerry_storage_open(struct skerry_snapshot *snapshot, uint64_t call_ns,
                        const struct skerry_storage_file *file, const int control[2],
                        struct skerry_console *console, struct skerry_storage **out,
                        struct skerry_error *err)
{
    const int theirs[] = {snapshot->fd, control[0], control[1], file ? file->fd : -1};
    struct store_file where;
    int fds[4];
    struct skerry_storage *s = make(snapshot, call_ns, console);
    int ret = s ? copy_all(theirs, fds, 4, err) : skerry_fail(err, "storage");
    if (ret < 0) {
        skerry_storage_close(s);
        return ret;
    }
    if (file)
        describe(file, fds[3], &where);
    ret =
        store_create(&s->store, (struct store_fds){fds[0], fds[1], fds[2]},
                     &snapshot->layout, &snapshot->process, file ? &where : NULL, err);
    if (ret == 0)
        take_tasks(s, snapshot);
    return complete(s, ret, out);
}

void skerry_storage_trace(struct skerry_storage *s, int trace)
{
    s->trace = trace;
}

void skerry_storage_close(struct skerry_storage *s)
{
    if (!s || __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL))
        return;
    machine_close(&s->machine);
    if (s->store.size)
        store_close(&s->store);
    skerry_console_close(s->console);
    skerry_snapshot_close(s->snapshot);
    free(s);
}

size_t skerry_storage_size(const struct skerry_storage *s)
{
    return skerry_snapshot_size(s->snapshot);
}

void skerry_storage_export(const struct skerry_storage *s, void *dst, int fds[4])
{
    fds[0] = skerry_snapshot_export(s->snapshot, dst);
    fds[1] = s->store.control_fd;
    fds[2] = s->store.committed_fd;
    fds[3] = s->store.file;
}

int skerry_storage_import(const void *src, size_t size, const int fds[5],
                          struct skerry_shm *shm, uint64_t call_ns,
                          struct skerry_console *console, struct skerry_storage **out,
                          struct skerry_error *err)
{
    int mine[STORE_FDS] = {fcntl(fds[0], F_DUPFD_CLOEXEC, 0), fds[1], fds[2], fds[3],
                           fds[4]};
    struct skerry_snapshot *snapshot = NULL;
    int ret = mine[0] < 0 ? skerry_fail(err, "storage") : 0;
    if (ret < 0)
        close(fds[0]);
    else
        ret = skerry_snapshot_import(src, size, fds[0], shm, &snapshot, err);
    struct skerry_storage *s = ret < 0 ? NULL : make(snapshot, call_ns, console);
    skerry_snapshot_close(snapshot);
    if (!s) {
        close_all(mine, STORE_FDS);
        return ret < 0 ? ret : skerry_fail(err, "storage");
    }
    ret = store_attach(&s->store, mine, &s->snapshot->layout, err);
    return complete(s, ret, out);
}

struct skerry_snapshot *skerry_storage_snapshot(struct skerry_storage *s)
{
    return s->snapshot;
}

int skerry_storage_sync(struct skerry_storage *s, struct skerry_error *err)
{
    int ret = store_sync(&s->store);
    errno = -ret;
    return ret < 0 ? skerry_fail(err, "storage file") : 0;
}

void skerry_storage_set_waits(struct skerry_storage *s, int waits)
{
    __atomic_store_n(&s->store.control->waits, waits && s->store.file >= 0,
                     __ATOMIC_SEQ_CST);
}

int skerry_storage_must_wait(const struct skerry_storage *s, uint64_t seen)
{
    return store_must_wait(&s->store, seen);
}

void skerry_storage_counts(const struct skerry_storage *s,
                           struct skerry_storage_counts *to)
{
    const struct control *c = s->store.control;
    *to = (struct skerry_storage_counts){
        .calls = __atomic_load_n(&c->counts.calls, __ATOMIC_RELAXED),
        .failed = __atomic_load_n(&c->counts.failed, __ATOMIC_RELAXED),
        .repaired = __atomic_load_n(&c->counts.repaired, __ATOMIC_RELAXED),
        .commits = __atomic_load_n(&c->reached, __ATOMIC_RELAXED),
        .tasks_run = __atomic_load_n(&s->store.tasks->run, __ATOMIC_RELAXED),
        .tasks_failed = __atomic_load_n(&s->store.tasks->failed, __ATOMIC_RELAXED),
        .tasks_pending = tasks_pending(s->store.tasks)};
}
