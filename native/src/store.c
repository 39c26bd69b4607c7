/* store.c: see store.h: taking the lock, commit, roll-back, repair. */
#include "store.h"

#include <errno.h>
#include <string.h>

#include "images.h"
#include "store_sync.h"
#include "watchdog.h"

static enum phase phase_of(uint32_t state)
{
    return (enum phase)(state & 255);
}

static uint32_t which(const struct control *c)
{
    return c->state >> 8 & 1;
}

/* One store changes both, so that no death comes between. */
static void set_state(struct control *c, enum phase phase, uint32_t place)
{
    __atomic_store_n(&c->state, (uint32_t)phase | place << 8, __ATOMIC_SEQ_CST);
}

static void set_phase(struct control *c, enum phase phase)
{
    set_state(c, phase, which(c));
}

uint64_t store_sequence(const struct store *s)
{
    return s->control->places[which(s->control)].sequence;
}

void store_begin(struct store *s)
{
    s->control->counts.calls++;
    set_phase(s->control, PHASE_RUNNING);
}

/* The committed image becomes the live one; the next place the true one. */
static void complete(struct store *s, uint32_t count)
{
    struct control *c = s->control;
    images_copy(s->committed, s->live, s->changed, count);
    c->committed = c->process;
    if (tasks_are_noted(s->tasks))
        tasks_commit(s->tasks, clock_now());
    set_state(c, PHASE_IDLE, !which(c));
}

static void take_back(struct store *s, uint32_t count)
{
    struct control *c = s->control;
    images_copy(s->live, s->committed, s->changed, count);
    c->process = c->committed;
    c->counts.failed++;
    if (tasks_are_noted(s->tasks))
        tasks_undo(s->tasks);
    set_phase(c, PHASE_IDLE);
}

/* Pages in which the images differ, into s->changed. */
static uint32_t find_changed(struct store *s, const struct dirty *dirty)
{
    s->found = dirty ? images_compare_listed(s, dirty) : images_compare_all(s);
    return s->found;
}

void store_roll_back(struct store *s, const struct dirty *dirty)
{
    take_back(s, find_changed(s, dirty));
}

static int make_record(struct store *s, uint32_t count)
{
    struct control *c = s->control;
    int ret = 0;
    journal_begin(&s->record, 0);
    for (uint32_t i = 0; i < count && ret == 0; i++) {
        uint64_t at = (uint64_t)s->changed[i] * PAGE_SIZE;
        ret = journal_page(&s->record, s->changed[i], s->live + at, s->committed + at);
    }
    if (ret == 0 && memcmp(&c->process, &c->committed, sizeof(c->process)))
        ret = journal_extra(&s->record, &c->process, sizeof(c->process));
    return ret;
}

static int begin_log(struct store *s, const struct journal_place *now,
                     struct journal_place *next)
{
    store_begin_sync(s);
    int ret = store_note_sync(s, journal_checkpoint(s->file, now, &s->record, 1, next));
    if (ret < 0 && journal_void(s->file, now) < 0) /* it may lead to the new log */
        __atomic_store_n(&s->control->lost, 1, __ATOMIC_SEQ_CST);
    store_end_sync(s);
    return ret;
}

/* A death in here is repaired by doing it again: place and image are the same. */
int store_checkpoint(struct store *s)
{
    struct control *c = s->control;
    const struct journal_place *now = &c->places[which(c)];
    struct journal_place *next = &c->places[!which(c)];
    int ret = images_record(s);
    if (ret < 0)
        return ret;
    set_phase(c, PHASE_CHECKPOINT);
    ret = begin_log(s, now, next);
    if (ret < 0) {
        set_phase(c, PHASE_IDLE);
        return ret;
    }
    set_state(c, PHASE_IDLE, !which(c));
    __atomic_store_n(&c->synced, next->sequence, __ATOMIC_SEQ_CST);
    journal_trim(s->file, next); /* what is behind the log harms nobody */
    return 0;
}

/* The place behind the commit that is about to be, in the file too. */
static int write_ahead(struct store *s, uint32_t count)
{
    struct control *c = s->control;
    const struct journal_place *now = &c->places[which(c)];
    struct journal_place *next = &c->places[!which(c)];
    *next = *now;
    next->sequence++;
    if (s->file < 0)
        return 0;
    if (store_is_lost(s))
        return -EIO;
    int ret = make_record(s, count);
    return ret < 0 ? ret : journal_append(s->file, now, &s->record, next);
}

/* Where nothing has changed but the table of tasks, which no file has. */
static int stay(struct store *s)
{
    struct control *c = s->control;
    c->places[!which(c)] = c->places[which(c)];
    return 0;
}

int store_commit(struct store *s, const struct dirty *dirty)
{
    struct control *c = s->control;
    uint32_t count = find_changed(s, dirty);
    int same = !count && !memcmp(&c->process, &c->committed, sizeof(c->process));
    if (same && !tasks_are_noted(s->tasks)) {
        set_phase(c, PHASE_IDLE);
        return 0;
    }
    int ret = same ? stay(s) : write_ahead(s, count);
    if (ret < 0) {
        take_back(s, count);
        return ret;
    }
    set_phase(c, PHASE_COMMITTING);
    complete(s, count);
    if (s->file >= 0 && journal_is_long(&c->places[which(c)]))
        store_checkpoint(s); /* without room for it the present log goes on */
    return 0;
}

/* The file may have a record of the call already: then it must go, before others see
 * what was before the call. */
static int undo(struct store *s)
{
    struct control *c = s->control;
    int ret = 0;
    if (s->file >= 0) {
        store_begin_sync(s);
        ret = store_note_sync(s, journal_void(s->file, &c->places[which(c)]));
        store_end_sync(s);
    }
    if (ret == 0)
        take_back(s, images_compare_all(s));
    return ret;
}

int store_repair(struct store *s)
{
    int ret;
    switch (phase_of(s->control->state)) {
    case PHASE_IDLE:
        return 0;
    case PHASE_RUNNING:
        return undo(s);
    case PHASE_COMMITTING:
        complete(s, images_compare_all(s));
        return 0;
    case PHASE_CHECKPOINT:
        ret = store_checkpoint(s);
        return phase_of(s->control->state) == PHASE_IDLE ? 0 : ret; /* the old log */
    }
    return -EINVAL;
}

int store_take(struct store *s, struct lock_ticket *ticket, uint64_t until)
{
    int ret = lock_take(&s->control->lock, &s->seat, ticket, until);
    if (ret < 0)
        return ret;
    s->control->counts.repaired += (uint64_t)ret;
    ret = store_repair(s);
    if (ret == 0 && __atomic_load_n(&s->control->moved, __ATOMIC_SEQ_CST))
        ret = -ESHUTDOWN;
    if (ret < 0)
        store_give(s);
    return ret;
}

void store_give(struct store *s)
{
    struct control *c = s->control;
    __atomic_store_n(&c->reached, store_sequence(s), __ATOMIC_RELEASE);
    lock_give(&c->lock, &s->seat);
}
