/* waiting.c: see waiting.h. There are so few that every question looks at all of them.
 */
#include "waiting.h"

void waiting_last(struct threads *t, struct thread *thread)
{
    thread->turn = ++t->last_turn;
    threads_touch(t, thread);
}

void waiting_begin(struct threads *t, struct thread *thread, uint64_t futex,
                   uint32_t bits, uint64_t until)
{
    thread->waits = 1;
    thread->futex = futex;
    thread->bits = bits;
    thread->until = until;
    waiting_last(t, thread);
}

void waiting_end(struct threads *t, struct thread *thread)
{
    thread->waits = 0;
    thread->futex = thread->until = 0;
    waiting_last(t, thread);
}

void waiting_again(struct threads *t, struct thread *thread)
{
    thread->again = 1;
    threads_touch(t, thread);
}

void waiting_end_again(struct threads *t)
{
    for (struct thread *one = t->at; one < t->at + THREADS; one++)
        if (one->tid && one->waits && one->again)
            waiting_end(t, one);
}

static struct thread *longer(struct thread *one, struct thread *other)
{
    return !other || one->turn < other->turn ? one : other;
}

static int can_run(const struct thread *one)
{
    return one->tid && !one->waits;
}

static int has_time(const struct thread *one)
{
    return one->tid && one->waits && one->until;
}

struct thread *waiting_next(struct threads *t)
{
    struct thread *next = NULL;
    for (struct thread *one = t->at; one < t->at + THREADS; one++)
        if (can_run(one))
            next = longer(one, next);
    return next;
}

int waiting_others(const struct threads *t)
{
    for (uint32_t i = 0; i < THREADS; i++)
        if (can_run(&t->at[i]) && i != t->current)
            return 1;
    return 0;
}

uint64_t waiting_first_time(const struct threads *t)
{
    uint64_t first = 0;
    for (const struct thread *one = t->at; one < t->at + THREADS; one++)
        if (has_time(one) && (!first || one->until < first))
            first = one->until;
    return first;
}

void waiting_end_times(struct threads *t, uint64_t now)
{
    for (struct thread *one = t->at; one < t->at + THREADS; one++)
        if (has_time(one) && one->until <= now)
            waiting_end(t, one);
}

struct thread *waiting_on(struct threads *t, uint64_t futex, uint32_t bits)
{
    struct thread *first = NULL;
    for (struct thread *one = t->at; one < t->at + THREADS; one++)
        if (one->tid && one->waits && one->futex == futex && one->bits & bits)
            first = longer(one, first);
    return first;
}

struct thread *waiting_for_lock(struct threads *t, uint64_t futex)
{
    struct thread *first = NULL;
    for (struct thread *one = t->at; one < t->at + THREADS; one++)
        if (one->tid && one->waits && one->futex == futex &&
            one->bits == WAITING_FOR_LOCK)
            first = longer(one, first);
    return first;
}

/* Who is moved stands last there, which may be where he was. */
int waiting_move(struct threads *t, uint64_t futex, uint64_t other, int most)
{
    const uint64_t last = t->last_turn;
    struct thread *one;
    int moved = 0;
    while (moved < most && (one = waiting_on(t, futex, ~0u)) && one->turn <= last) {
        one->futex = other;
        waiting_last(t, one);
        moved++;
    }
    return moved;
}

void waiting_freeze(struct threads *t, uint64_t now)
{
    for (struct thread *one = t->at; one < t->at + THREADS; one++) {
        one->changed = 0;
        one->wait_until = 0; /* of what is made again, all of its time */
        if (!has_time(one))
            continue;
        one->until = one->until > now ? one->until - now : 1;
        t->sleepers++;
    }
    t->changed = 0;
}

void waiting_thaw(struct threads *t, uint64_t now)
{
    for (struct thread *one = t->at; t->sleepers && one < t->at + THREADS; one++)
        if (has_time(one)) {
            one->until += now;
            threads_touch(t, one);
        }
    t->sleepers = 0;
}
