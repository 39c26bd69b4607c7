/* threads.c: see threads.h. */
#include "threads.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TID_MAX (1u << 22) /* Linux' own limit; futexes have 30 bits for one */

int threads_make(struct machine *m)
{
    if (m->threads)
        return 0;
    struct threads *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->count = 1;
    t->last_tid = FIRST_TID;
    t->at[0].tid = FIRST_TID;
    m->threads = t;
    return 0;
}

void threads_close(struct threads *t)
{
    free(t);
}

uint32_t threads_tid(const struct machine *m)
{
    return m->threads ? threads_current(m->threads)->tid : FIRST_TID;
}

void threads_trace(struct machine *m, int kind, uint64_t number, const uint64_t arg[6])
{
    if (m->trace)
        trace_enter(m->trace, &m->mem, threads_tid(m), kind, number, arg);
}

void threads_traced(struct machine *m, int64_t result, int ends)
{
    if (m->trace)
        trace_leave(m->trace, &m->mem, threads_tid(m), result, ends);
}

struct thread *threads_find(struct threads *t, uint32_t tid)
{
    for (uint32_t i = 0; i < THREADS; i++)
        if (t->at[i].tid == tid)
            return &t->at[i];
    return NULL;
}

int threads_has(const struct machine *m, uint32_t tid)
{
    return tid == threads_tid(m) || (m->threads && threads_find(m->threads, tid));
}

static uint32_t new_tid(struct threads *t)
{
    do {
        t->last_tid = t->last_tid < TID_MAX ? t->last_tid + 1 : FIRST_TID + 1;
    } while (threads_find(t, t->last_tid));
    return t->last_tid;
}

int threads_place(struct threads *t, uint32_t *tid)
{
    if (t->count == THREADS)
        return -EAGAIN;
    *tid = new_tid(t);
    return (int)(threads_find(t, 0) - t->at);
}

void threads_touch(struct threads *t, struct thread *thread)
{
    t->changed = thread->changed = 1;
}

static int has_registers(const struct threads *t, uint32_t i)
{
    return t->at[i].tid && i != t->current;
}

/* Puts one place back; the current one's registers are the vCPU's. */
static void restore_place(struct threads *to, const struct threads *from, uint32_t i)
{
    if (!to->at[i].changed)
        return;
    to->at[i] = from->at[i];
    if (has_registers(from, i))
        memcpy(to->fpu[i], from->fpu[i], sizeof(to->fpu[i]));
}

int threads_restore(struct threads **to, const struct threads *from)
{
    if (!from) {
        threads_close(*to);
        *to = NULL;
        return 0;
    }
    int is_new = !*to;
    if (!is_new && !(*to)->changed)
        return 0;
    if (is_new && !(*to = calloc(1, sizeof(**to))))
        return -ENOMEM;
    for (uint32_t i = 0; i < THREADS; i++) {
        (*to)->at[i].changed |= is_new;
        restore_place(*to, from, i);
    }
    memcpy(*to, from, offsetof(struct threads, at));
    return 0;
}

size_t threads_packed(const struct threads *t)
{
    if (!t)
        return 0;
    size_t size = offsetof(struct threads, fpu);
    for (uint32_t i = 0; i < THREADS; i++)
        size += has_registers(t, i) ? sizeof(t->fpu[i]) : 0;
    return size;
}

void threads_pack(const struct threads *t, uint8_t *dst)
{
    if (!t)
        return;
    memcpy(dst, t, offsetof(struct threads, fpu));
    dst += offsetof(struct threads, fpu);
    for (uint32_t i = 0; i < THREADS; i++)
        if (has_registers(t, i)) {
            memcpy(dst, t->fpu[i], sizeof(t->fpu[i]));
            dst += sizeof(t->fpu[i]);
        }
}

/* Tells if the table is one, whoever has packed it. */
static int is_sound(const struct threads *t)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        count += t->at[i].tid != 0;
        if (t->at[i].tid > TID_MAX || t->at[i].signals.pending.queued > SIGNALS_QUEUED)
            return 0;
    }
    return count == t->count && t->current < THREADS && t->home < THREADS &&
           t->at[t->current].tid && t->at[t->home].tid;
}

/* Takes what threads_pack has made, all of it. 0 or -EINVAL. */
static int unpack(struct threads *t, const uint8_t *src, size_t size)
{
    const size_t head = offsetof(struct threads, fpu);
    if (size < head)
        return -EINVAL;
    memcpy(t, src, head);
    if (!is_sound(t) || threads_packed(t) != size)
        return -EINVAL;
    src += head;
    for (uint32_t i = 0; i < THREADS; i++)
        if (has_registers(t, i)) {
            memcpy(t->fpu[i], src, sizeof(t->fpu[i]));
            src += sizeof(t->fpu[i]);
        }
    return 0;
}

int threads_unpack(struct threads **to, const void *src, size_t size,
                   struct skerry_error *err)
{
    *to = NULL;
    if (!size)
        return 0;
    if (!(*to = calloc(1, sizeof(**to))))
        return skerry_fail(err, "frozen machine");
    return unpack(*to, src, size) < 0
               ? skerry_refuse(err, EINVAL, "frozen machine", "its threads are spoiled")
               : 0;
}
