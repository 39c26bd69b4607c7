/* store_sync.c: when the file of a store outlives a power loss. */
#include "store_sync.h"

#include <errno.h>

int store_note_sync(struct store *s, int ret)
{
    if (ret < 0 && ret != -ENOSPC && ret != -EDQUOT && ret != -EFBIG && ret != -ENOMEM)
        __atomic_store_n(&s->control->lost, 1, __ATOMIC_SEQ_CST);
    return ret;
}

void store_begin_sync(struct store *s)
{
    struct lock_ticket ticket = {0};
    while (lock_take(&s->control->syncing, &s->seat, &ticket, UINT64_MAX) < 0)
        ;
}

void store_end_sync(struct store *s)
{
    lock_give(&s->control->syncing, &s->seat);
}

int store_is_lost(const struct store *s)
{
    return __atomic_load_n(&s->control->lost, __ATOMIC_SEQ_CST) != 0;
}

int store_must_wait(const struct store *s, uint64_t sequence)
{
    const struct control *c = s->control;
    return c->waits && __atomic_load_n(&c->synced, __ATOMIC_ACQUIRE) < sequence;
}

static void raise_to(uint64_t *at, uint64_t value)
{
    uint64_t now = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (now < value && !__atomic_compare_exchange_n(
                              at, &now, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

/* With (syncing) held: what somebody else has synced meanwhile is done. */
static int sync_once(struct store *s, uint64_t wanted)
{
    struct control *c = s->control;
    if (store_is_lost(s))
        return -EIO;
    if (__atomic_load_n(&c->synced, __ATOMIC_ACQUIRE) >= wanted)
        return 0;
    uint64_t sequence = __atomic_load_n(&c->reached, __ATOMIC_ACQUIRE);
    int ret = store_note_sync(s, journal_sync(s->file));
    if (ret == 0)
        raise_to(&c->synced, sequence);
    return ret;
}

int store_sync(struct store *s)
{
    uint64_t wanted = __atomic_load_n(&s->control->reached, __ATOMIC_ACQUIRE);
    if (s->file < 0)
        return 0;
    store_begin_sync(s);
    int ret = sync_once(s, wanted);
    store_end_sync(s);
    return ret;
}
