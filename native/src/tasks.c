/* tasks.c: see tasks.h. A slot becomes valid, or free, by one store to its state. */
#include "tasks.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "layout.h"
#include "watchdog.h"

/* After this others look whether who has claimed a task is still there. */
#define LOOK_NS 1000000000UL

static uint64_t table_size(void)
{
    return page_up(sizeof(struct tasks));
}

uint64_t tasks_size(void)
{
    return table_size() + TASK_SLOTS * TASK_DATA_MAX;
}

void tasks_init(struct tasks *t)
{
    t->next_due = TASK_NEVER;
}

struct tasks *tasks_open(void)
{
    int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    void *at = mmap(NULL, tasks_size(), PROT_READ | PROT_WRITE, flags, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    tasks_init(at);
    return at;
}

void tasks_close(struct tasks *t)
{
    if (t)
        munmap(t, tasks_size());
}

uint8_t *tasks_data(struct tasks *t, const struct task *task)
{
    uint64_t index = (uint64_t)(task - t->slots);
    return (uint8_t *)t + table_size() + index * TASK_DATA_MAX;
}

static void set_state(struct task *task, enum task_state state)
{
    __atomic_store_n(&task->state, (uint32_t)state, __ATOMIC_SEQ_CST);
}

static void set_next_due(struct tasks *t, uint64_t due)
{
    __atomic_store_n(&t->next_due, due, __ATOMIC_SEQ_CST);
}

/* Frees the slot, and the memory of a long argument. */
static void release(struct tasks *t, struct task *task)
{
    set_state(task, TASK_NONE);
    if (task->len > PAGE_SIZE)
        madvise(tasks_data(t, task), page_up(task->len), MADV_REMOVE);
}

/* The earliest of those that wait, but for (but). */
static struct task *earliest(struct tasks *t, const struct task *but)
{
    struct task *first = NULL;
    for (struct task *each = t->slots; each < t->slots + TASK_SLOTS; each++)
        if (each->state == TASK_WAITING && each != but &&
            (!first || each->due < first->due))
            first = each;
    return first;
}

static void find_next_due(struct tasks *t)
{
    const struct task *first = earliest(t, NULL);
    set_next_due(t, first ? first->due : TASK_NEVER);
}

/* A slot for one more of the kind, or NULL if there are too many of it. */
static struct task *find_free(struct tasks *t, int is_timer)
{
    struct task *free_one = NULL;
    uint32_t count = 0;
    for (struct task *each = t->slots; each < t->slots + TASK_SLOTS; each++) {
        if (each->state == TASK_NONE)
            free_one = each;
        else if (!each->stopping)
            count += (each->id != 0) == is_timer;
    }
    return count < (is_timer ? TASK_TIMERS : TASK_ONCE) ? free_one : NULL;
}

static void fill(struct tasks *t, struct task *task, const struct task_order *order,
                 const uint8_t *data)
{
    *task = (struct task){.id = order->period_ns ? ++t->last_id : 0,
                          .function = order->function,
                          .len = order->len,
                          .due = clock_now() + order->start_ns,
                          .period = order->period_ns};
    memcpy(tasks_data(t, task), data, order->len);
}

int64_t tasks_add(struct tasks *t, const struct task_order *order, const uint8_t *data,
                  enum task_state state)
{
    if (order->len > TASK_DATA_MAX)
        return -E2BIG;
    struct task *task = find_free(t, order->period_ns != 0);
    if (!task)
        return -ENOSPC;
    fill(t, task, order, data);
    if (state == TASK_PLANNED)
        t->noted = 1;
    else if (task->due < t->next_due)
        set_next_due(t, task->due); /* before it waits: too early harms nobody */
    set_state(task, state);
    return task->id;
}

static struct task *find_timer(struct tasks *t, int64_t id)
{
    for (struct task *each = t->slots; each < t->slots + TASK_SLOTS; each++)
        if (each->state != TASK_NONE && each->id == id && id > 0 && !each->stopping)
            return each;
    return NULL;
}

int64_t tasks_stop(struct tasks *t, int64_t id, int at_once)
{
    struct task *task = find_timer(t, id);
    if (!task)
        return -ENOENT;
    if (at_once || task->state == TASK_PLANNED) {
        release(t, task);
    } else {
        t->noted = 1;
        task->stopping = 1;
    }
    return 0;
}

struct task *tasks_due(struct tasks *t, uint64_t now)
{
    find_next_due(t); /* it may be too early */
    struct task *first = earliest(t, NULL);
    return first && first->due <= now ? first : NULL;
}

void tasks_claim(struct tasks *t, struct task *task, uint64_t now)
{
    const struct task *next = earliest(t, task);
    uint64_t look = now + LOOK_NS;
    task->tries++;
    t->claimed = (uint32_t)(task - t->slots) + 1;
    set_next_due(t, next && next->due < look ? next->due : look);
}

/* (task) has run: it is gone, or due in the first period that is not over: those that
 * it has missed are left out. */
static void settle(struct tasks *t, struct task *task, uint64_t now)
{
    task->tries = 0;
    if (!task->period)
        release(t, task);
    else if (task->due <= now)
        task->due += ((now - task->due) / task->period + 1) * task->period;
}

int tasks_are_noted(const struct tasks *t)
{
    return t->noted || t->claimed;
}

static void make_so(struct tasks *t, struct task *task)
{
    if (task->state == TASK_PLANNED)
        set_state(task, TASK_WAITING);
    if (task->stopping)
        release(t, task);
    task->stopping = 0;
}

void tasks_commit(struct tasks *t, uint64_t now)
{
    for (uint32_t i = 0; t->noted && i < TASK_SLOTS; i++)
        make_so(t, &t->slots[i]);
    struct task *task = t->claimed ? &t->slots[t->claimed - 1] : NULL;
    if (task && task->state == TASK_WAITING)
        settle(t, task, now);
    t->run += task != NULL;
    find_next_due(t);
    t->claimed = t->noted = 0;
}

void tasks_undo(struct tasks *t)
{
    for (uint32_t i = 0; t->noted && i < TASK_SLOTS; i++) {
        t->slots[i].stopping = 0;
        if (t->slots[i].state == TASK_PLANNED)
            release(t, &t->slots[i]);
    }
    find_next_due(t);
    t->claimed = t->noted = 0;
}

void tasks_fail(struct tasks *t, struct task *task, uint64_t now)
{
    t->run++;
    t->failed++;
    settle(t, task, now);
    find_next_due(t);
}

void tasks_give_up(struct tasks *t, struct task *task)
{
    t->failed++;
    release(t, task);
    find_next_due(t);
}

void tasks_take_over(struct tasks *t, const struct tasks *from)
{
    for (uint32_t i = 0; from && i < TASK_SLOTS; i++) {
        const struct task *task = &from->slots[i];
        if (task->state == TASK_NONE)
            continue;
        t->slots[i] = *task;
        t->slots[i].state = TASK_WAITING;
        memcpy(tasks_data(t, task - from->slots + t->slots),
               tasks_data((struct tasks *)from, task), task->len);
    }
    if (from)
        t->last_id = from->last_id;
    find_next_due(t);
}

uint32_t tasks_pending(const struct tasks *t)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < TASK_SLOTS; i++)
        count += __atomic_load_n(&t->slots[i].state, __ATOMIC_RELAXED) == TASK_WAITING;
    return count;
}
