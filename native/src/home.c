/* home.c: see home.h. */
#include "home.h"

#include "swap.h"
#include "waiting.h"

static void drop(struct machine *m)
{
    threads_close(m->threads);
    m->threads = NULL;
    m->tick = 0;
}

/* The first thread alone is what a machine without a table has. The vCPU of storage
 * belongs to each call anew: others could not run on. */
void home_waits(struct machine *m)
{
    struct threads *t = m->threads;
    if (!t)
        return;
    t->home = t->current;
    if (m->facts->is_storage || (t->count == 1 && threads_current(t)->tid == FIRST_TID))
        drop(m);
}

int home_runs(const struct machine *m)
{
    return !m->threads || m->threads->current == m->threads->home;
}

int home_enter(struct machine *m)
{
    struct threads *t = m->threads;
    if (home_runs(m))
        return 0;
    vcpu_step_over(&m->vm, &m->mem, 0);
    int ret = swap_out(m, t->current);
    waiting_last(t, threads_current(t));
    t->current = t->home;
    waiting_end(t, threads_current(t));
    swap_in_own(m, threads_current(t));
    return ret;
}

void home_alone(struct machine *m)
{
    if (!home_runs(m))
        swap_in_own(m, &m->threads->at[m->threads->home]);
    drop(m);
}

int home_freeze(struct machine *m)
{
    int ret = home_enter(m);
    if (m->threads)
        waiting_freeze(m->threads, clock_now());
    return ret;
}
