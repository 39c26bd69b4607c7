/* The table of tasks: limits, order, periods, and what a call notes in it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "check.h"
#include "layout.h"
#include "tasks.h"
#include "watchdog.h"

#define SECOND 1000000000UL

static struct tasks *t;
static uint64_t begun;

static void begin(void)
{
    begun = clock_now();
    t = tasks_open();
    CHECK(t);
}

static void end(void)
{
    tasks_close(t);
}

static int64_t add(uint64_t function, uint64_t start, uint64_t period,
                   enum task_state state)
{
    const struct task_order order = {.function = function,
                                     .len = sizeof(function),
                                     .start_ns = start * SECOND,
                                     .period_ns = period * SECOND};
    return tasks_add(t, &order, (const uint8_t *)&function, state);
}

/* The function of the task that is due (seconds) from the beginning; 0: there is none.
 */
static uint64_t due(uint64_t seconds)
{
    struct task *task = tasks_due(t, begun + seconds * SECOND + SECOND / 2);
    return task ? task->function : 0;
}

/* Runs it to its end, and tells which it was. */
static uint64_t run(uint64_t seconds)
{
    uint64_t now = begun + seconds * SECOND + SECOND / 2, function;
    struct task *task = tasks_due(t, now);
    if (!task)
        return 0;
    memcpy(&function, tasks_data(t, task), sizeof(function));
    CHECK_EQ(function, task->function);
    tasks_claim(t, task, now);
    tasks_commit(t, now);
    return function;
}

TEST(tasks_run_in_the_order_in_which_they_are_due)
{
    begin();
    CHECK_EQ(t->next_due, TASK_NEVER);
    add(3, 30, 0, TASK_WAITING);
    add(1, 10, 0, TASK_WAITING);
    add(2, 20, 0, TASK_WAITING);
    CHECK(t->next_due >= begun + 10 * SECOND && t->next_due < begun + 11 * SECOND);
    CHECK_EQ(run(5), 0);
    CHECK_EQ(run(15), 1);
    CHECK_EQ(run(15), 0);
    CHECK(t->next_due > begun + 19 * SECOND);
    CHECK_EQ(run(99), 2);
    CHECK_EQ(run(99), 3);
    CHECK_EQ(run(99), 0);
    CHECK_EQ(t->next_due, TASK_NEVER);
    CHECK_EQ(t->run, 3);
    CHECK_EQ(tasks_pending(t), 0);
    end();
}

TEST(a_timer_is_due_in_the_first_period_that_is_not_over)
{
    begin();
    CHECK_EQ(add(7, 10, 10, TASK_WAITING), 1);
    CHECK_EQ(due(9), 0);
    CHECK_EQ(run(10), 7);
    CHECK_EQ(due(19), 0);
    CHECK_EQ(run(20), 7);
    CHECK_EQ(run(58), 7);
    CHECK_EQ(due(59), 0);
    CHECK_EQ(run(60), 7);
    end();
}

TEST(what_a_call_notes_holds_from_its_commit_on)
{
    begin();
    CHECK_EQ(add(1, 0, 10, TASK_WAITING), 1);
    CHECK(!tasks_are_noted(t));
    CHECK_EQ(add(2, 0, 10, TASK_PLANNED), 2);
    CHECK_EQ(tasks_stop(t, 1, 0), 0);
    CHECK_EQ(tasks_stop(t, 1, 0), -ENOENT);
    CHECK(tasks_are_noted(t));
    CHECK_EQ(due(1), 1);
    tasks_commit(t, begun);
    CHECK(!tasks_are_noted(t));
    CHECK_EQ(due(1), 2);
    CHECK_EQ(tasks_stop(t, 1, 1), -ENOENT);
    CHECK_EQ(tasks_pending(t), 1);
    end();
}

TEST(what_a_call_notes_that_is_taken_back_is_forgotten)
{
    begin();
    add(1, 0, 10, TASK_WAITING);
    add(2, 0, 10, TASK_PLANNED);
    tasks_stop(t, 1, 0);
    tasks_undo(t);
    CHECK(!tasks_are_noted(t));
    CHECK_EQ(run(1), 1);
    CHECK_EQ(run(1), 0);
    CHECK_EQ(tasks_stop(t, 2, 1), -ENOENT);
    CHECK_EQ(tasks_stop(t, 1, 1), 0);
    end();
}

TEST(a_task_that_is_taken_back_waits_as_before_and_knows_how_often_it_has_begun)
{
    begin();
    add(1, 0, 0, TASK_WAITING);
    for (uint32_t tries = 0; tries < 5; tries++) {
        struct task *task = tasks_due(t, begun + SECOND);
        CHECK(task && task->tries == tries);
        tasks_claim(t, task, begun + SECOND);
        CHECK(t->next_due > begun + SECOND); /* others look later */
        tasks_undo(t);
        CHECK(t->next_due < begun + SECOND);
    }
    tasks_give_up(t, tasks_due(t, begun + SECOND));
    CHECK_EQ(due(1), 0);
    CHECK_EQ(t->run, 0);
    CHECK_EQ(t->failed, 1);
    end();
}

TEST(a_failure_ends_a_task_but_not_a_timer)
{
    begin();
    add(1, 0, 0, TASK_WAITING);
    add(2, 0, 10, TASK_WAITING);
    for (int i = 0; i < 2; i++) {
        struct task *task = tasks_due(t, begun + SECOND);
        tasks_claim(t, task, begun + SECOND);
        tasks_undo(t);
        tasks_fail(t, task, begun + SECOND);
    }
    CHECK_EQ(due(1), 0);
    CHECK_EQ(due(11), 2);
    CHECK_EQ(tasks_due(t, begun + 11 * SECOND)->tries, 0);
    CHECK_EQ(t->run, 2);
    CHECK_EQ(t->failed, 2);
    end();
}

static int64_t add_until_full(uint64_t period)
{
    int64_t count = 0;
    while (add(1, 60, period, TASK_PLANNED) >= 0)
        count++;
    return count;
}

TEST(timers_that_a_call_stops_make_room_for_as_many_before_it_ends)
{
    begin();
    CHECK_EQ(add_until_full(9), TASK_TIMERS);
    CHECK_EQ(add_until_full(0), TASK_ONCE);
    tasks_commit(t, begun);
    for (int64_t id = 1; id <= TASK_TIMERS; id++)
        CHECK_EQ(tasks_stop(t, id, 0), 0);
    CHECK_EQ(add_until_full(9), TASK_TIMERS);
    CHECK_EQ(add_until_full(0), 0);
    tasks_undo(t);
    CHECK_EQ(tasks_pending(t), TASK_TIMERS + TASK_ONCE);
    CHECK_EQ(add_until_full(9), 0);
    end();
}

/* Pages of the argument's slot that take memory. */
static int resident(struct tasks *of)
{
    static unsigned char pages[TASK_DATA_MAX / PAGE_SIZE];
    int count = 0;
    CHECK_EQ(mincore(tasks_data(of, of->slots + TASK_SLOTS - 1), TASK_DATA_MAX, pages),
             0);
    for (uint64_t i = 0; i < sizeof(pages); i++)
        count += pages[i] & 1;
    return count;
}

TEST(a_long_argument_takes_memory_only_while_its_task_waits)
{
    begin();
    uint8_t *bytes = malloc(TASK_DATA_MAX);
    memset(bytes, 9, TASK_DATA_MAX);
    struct task_order order = {.len = TASK_DATA_MAX};
    CHECK_EQ(tasks_add(t, &order, bytes, TASK_WAITING), 0);
    CHECK_EQ(t->slots[TASK_SLOTS - 1].state, TASK_WAITING);
    CHECK_EQ(resident(t), TASK_DATA_MAX / PAGE_SIZE);
    CHECK_EQ(tasks_data(t, t->slots + TASK_SLOTS)[-1], 9);
    struct task *task = tasks_due(t, begun + 9 * SECOND);
    tasks_claim(t, task, begun);
    tasks_commit(t, begun);
    CHECK_EQ(resident(t), 0);
    order.len++;
    CHECK_EQ(tasks_add(t, &order, bytes, TASK_WAITING), -E2BIG);
    free(bytes);
    end();
}

TEST(what_main_has_ordered_waits_in_the_table_of_all)
{
    begin();
    struct tasks *all = tasks_open();
    add(1, 10, 0, TASK_PLANNED);
    add(2, 5, 5, TASK_PLANNED);
    add(3, 5, 5, TASK_PLANNED);
    CHECK_EQ(tasks_stop(t, 2, 0), 0);
    tasks_take_over(all, NULL);
    CHECK_EQ(all->next_due, TASK_NEVER);
    tasks_take_over(all, t);
    tasks_close(t);
    t = all;
    CHECK_EQ(tasks_pending(t), 2);
    CHECK_EQ(run(5), 2);
    CHECK_EQ(run(10), 1);
    CHECK_EQ(add(4, 0, 1, TASK_WAITING), 3);
    end();
}
