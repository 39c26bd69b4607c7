/* handover.c: what a storage knows, handed over to the storage of another build; see
 * skerry.h.
 *
 * Neither build knows the other's memory: on_live_update of the old one returns bytes,
 * and on_live_restore of the new one says where they are to go. The lock of the old one
 * is held meanwhile and until skerry_storage_let_go, so no call comes between what is
 * handed over and its end. What on_live_update has changed is taken back: whatever
 * happens here, the old state is as it was. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "request.h"
#include "storage.h"

#define LEAVE "on_live_update"
#define ENTER "on_live_restore"

static int refuse(struct skerry_error *err, const char *step, const char *reason)
{
    return skerry_refuse(err, EPROTO, step, "%s", reason);
}

int skerry_storage_leaves(const struct skerry_storage *s)
{
    return s->snapshot->facts.callback[ON_LIVE_UPDATE] != 0;
}

int skerry_storage_restores(const struct skerry_storage *s)
{
    return s->snapshot->facts.callback[ON_LIVE_RESTORE] != 0;
}

/* With the lock held: calls (function)(arg) in storage, as a call that has begun. 0, or
 * -EPROTO with what went wrong in (step). */
static int call(struct skerry_storage *s, uint64_t function, uint64_t arg,
                const char *step, struct skerry_error *err)
{
    const struct storage_args args = {.function = function, .count = arg};
    struct machine *m = &s->machine;
    store_begin(&s->store);
    m->deadline = clock_now() + s->call_ns;
    storage_prepare(m, &args);
    if (m->restore) /* so that the header makes its calls by number */
        machine_exchange(m)->magic = 0;
    enum stop stop = machine_run(m, 0);
    console_flush(m->console);
    request_describe(m);
    if (stop == STOP_RETURNED && vm_sregs_intact(&m->vm))
        return 0;
    s->broken = 1;
    return refuse(err, step, m->reason[0] ? m->reason : "it changed the machine");
}

/* Takes the lock, with a machine that can run. 0 or -errno. */
static int take(struct skerry_storage *s, uint64_t until, struct skerry_error *err)
{
    struct lock_ticket ticket = {0};
    int ret = store_take(&s->store, &ticket, until);
    if (ret < 0) {
        lock_forget(&s->store.control->lock, &ticket);
        if (ret == -EAGAIN)
            return skerry_refuse(err, EAGAIN, "live update",
                                 "a storage call before it took too long");
        errno = -ret;
        return skerry_fail(err, "live update");
    }
    ret = storage_mend(s);
    if (ret < 0)
        store_give(&s->store);
    errno = -ret;
    return ret < 0 ? skerry_fail(err, "live update") : 0;
}

/* What on_live_update hands over, into (to), whose data is malloc'ed. 0 or -errno. */
static int collect(struct skerry_storage *s, struct storage_result *to,
                   struct skerry_error *err)
{
    struct machine *m = &s->machine;
    uint64_t len = 0;
    int ret = call(s, s->snapshot->facts.callback[ON_LIVE_UPDATE], 0, LEAVE, err);
    const uint8_t *bytes = ret < 0 ? NULL : storage_result(m, &len);
    if (ret == 0 && !bytes)
        ret = refuse(err, LEAVE, "it handed nothing over: call storage_return");
    if (ret == 0 && !(to->data = malloc(len + 1)))
        ret = skerry_fail(err, LEAVE);
    if (ret == 0) {
        memcpy(to->data, bytes, len);
        to->len = len;
    }
    store_roll_back(&s->store, storage_written(s));
    storage_keep_short(s);
    return ret;
}

/* Has on_live_restore take (state), as one storage call. 0 or -errno. */
static int restore(struct skerry_storage *s, const struct storage_result *state,
                   struct skerry_error *err)
{
    struct machine *m = &s->machine;
    struct restore pending = {.data = state->data, .len = state->len};
    if (state->len > s->snapshot->facts.max_memory / 4)
        return refuse(err, LEAVE, "it handed over more than a quarter of max_memory");
    m->restore = &pending;
    int ret =
        call(s, s->snapshot->facts.callback[ON_LIVE_RESTORE], state->len, ENTER, err);
    m->restore = NULL;
    if (ret == 0 && state->len && !pending.taken)
        ret = refuse(err, ENTER, "it named no buffer: call storage_return");
    if (ret < 0)
        return ret; /* nobody will use it */
    ret = store_commit(&s->store, storage_written(s));
    errno = -ret;
    return ret < 0 ? skerry_fail(err, "storage file") : 0;
}

static int enter(struct skerry_storage *s, const struct storage_result *state,
                 uint64_t until, struct skerry_error *err)
{
    int ret = take(s, until, err);
    if (ret < 0)
        return ret;
    ret = restore(s, state, err);
    storage_keep_short(s);
    store_give(&s->store);
    return ret < 0 ? ret : skerry_storage_sync(s, err);
}

int skerry_storage_hand_over(struct skerry_storage *old, struct skerry_storage *to,
                             uint64_t wait_ns, struct skerry_error *err)
{
    const uint64_t until = clock_now() + wait_ns;
    struct storage_result state = {0};
    int ret = take(old, until, err);
    if (ret < 0)
        return ret;
    ret = collect(old, &state, err);
    if (ret == 0)
        ret = enter(to, &state, until, err);
    if (ret < 0)
        store_give(&old->store);
    free(state.data);
    return ret;
}

void skerry_storage_let_go(struct skerry_storage *old, int moved)
{
    if (moved)
        __atomic_store_n(&old->store.control->moved, 1, __ATOMIC_SEQ_CST);
    store_give(&old->store);
}

/* For a process that has the descriptor, and no storage. */
int skerry_storage_is_moved(int control)
{
    uint32_t moved = 0;
    const off_t at = offsetof(struct control, moved);
    if (pread(control, &moved, sizeof(moved), at) != (ssize_t)sizeof(moved))
        return -EIO;
    return moved != 0;
}

int skerry_storage_move_back(int control)
{
    const uint32_t moved = 0;
    const off_t at = offsetof(struct control, moved);
    return pwrite(control, &moved, sizeof(moved), at) < 0 ? -errno : 0;
}
