/* The lock of storage, among real processes: whoever holds it may die or stop. */
#include "../src/lock.c"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "check.h"
#include "memory.h"

#define SECOND 1000000000UL
#define NEVER (clock_now() + 100 * SECOND) /* a test that waits so long hangs */

/* What the processes of a test share. The lock guards the second half. */
static struct world {
    struct lock lock;
    uint32_t turns, ready, stop, wrong, repairs;
    uint64_t counter, twin;
} *world;
static int memfd;
static struct lock_seat seat; /* of this process */

static void begin(void)
{
    uint8_t *at;
    memfd = memory_create("lock", 4096, NULL);
    CHECK_EQ(memory_map(memfd, 4096, MAP_LIVE, &at, NULL), 0);
    world = (struct world *)(void *)at;
    CHECK_EQ(lock_join(&world->lock, memfd, &seat, NULL), 0);
}

static void end(void)
{
    lock_leave(&seat);
    memory_unmap((uint8_t *)world, 4096);
    close(memfd);
}

static void count(uint32_t *what)
{
    __atomic_add_fetch(what, 1, __ATOMIC_SEQ_CST);
}

static void await(const uint32_t *what, uint32_t least)
{
    while (__atomic_load_n(what, __ATOMIC_SEQ_CST) < least)
        usleep(100);
}

/* Waits until (least) wait for the lock, all for longer than patience lasts. */
static void await_overdue(int least)
{
    int overdue;
    do {
        overdue = 0;
        usleep(100);
        for (int i = 0; i < LOCK_WAITERS; i++)
            overdue += world->lock.waiting[i] &&
                       is_overdue(world->lock.waiting[i], clock_now());
    } while (overdue < least);
}

static int take(uint64_t until)
{
    struct lock_ticket t = {0};
    int ret = lock_take(&world->lock, &seat, &t, until);
    lock_forget(&world->lock, &t);
    return ret;
}

static void give(void)
{
    lock_give(&world->lock, &seat);
}

/* Puts right what change_twins left half done. */
static void repair(void)
{
    count(&world->repairs);
    world->twin = world->counter;
}

/* A process at a place of its own that does (body), and does not outlive the test. If a
 * dead process held the lock at that place, it repairs what that left. */
static pid_t process(void (*body)(void))
{
    pid_t child = fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(seat.fd); /* the description is our parent's too: his place stays taken */
    int ret = lock_join(&world->lock, memfd, &seat, NULL);
    if (ret == 1)
        repair(), give();
    if (ret >= 0)
        body();
    _exit(ret < 0);
}

static void finish(pid_t child)
{
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void end_by_kill(pid_t child)
{
    kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, NULL, 0), child);
}

static void stop(pid_t child)
{
    kill(child, SIGSTOP);
    CHECK_EQ(waitpid(child, NULL, WUNTRACED), child);
}

static void hold_for_ever(void)
{
    take(NEVER);
    count(&world->ready);
    for (;;)
        pause();
}

static void hold_until_stop(void)
{
    take(NEVER);
    count(&world->ready);
    await(&world->stop, 1);
    give();
}

static void wait_for_a_turn(void)
{
    if (take(NEVER) == 1)
        repair();
    count(&world->turns);
    give();
}

static pid_t holder(void (*body)(void))
{
    pid_t child = process(body);
    await(&world->ready, 1);
    return child;
}

static void in_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, body, arg), 0);
    pthread_join(thread, NULL);
}

/* --- One at a time, in turn --- */

static void *add_often(void *arg)
{
    for (int i = 0; i < 3000; i++) {
        take(NEVER);
        *(volatile uint64_t *)&world->counter += 1;
        give();
    }
    return arg;
}

static void add_in_two_threads(void)
{
    pthread_t other;
    pthread_create(&other, NULL, add_often, NULL);
    add_often(NULL);
    pthread_join(other, NULL);
}

TEST(four_processes_of_two_threads_hold_it_one_at_a_time)
{
    pid_t child[4];
    begin();
    for (int i = 0; i < 4; i++)
        child[i] = process(add_in_two_threads);
    for (int i = 0; i < 4; i++)
        finish(child[i]);
    CHECK_EQ(world->counter, 4 * 2 * 3000);
    end();
}

TEST(who_takes_it_again_at_once_does_not_starve_another)
{
    begin();
    for (uint32_t i = 1; i <= 10; i++) {
        CHECK_EQ(take(NEVER), 0);
        pid_t child = process(wait_for_a_turn);
        await_overdue(1);
        give();
        world->lock.released_at = NEVER; /* just now, whatever the machine does */
        int again = take(0);
        CHECK(again == -EAGAIN || world->turns == i);
        if (again == 0)
            give();
        finish(child);
    }
    end();
}

TEST(who_has_waited_too_long_goes_first_if_he_comes)
{
    begin();
    struct lock *l = &world->lock;
    uint64_t now = clock_now();
    struct lock_ticket none = {0}, late = {.since = now - SECOND, .place = NO_PLACE},
                       later = {.since = now - SECOND / 2, .place = NO_PLACE};
    enlist(l, &late), enlist(l, &later);
    l->released_at = now + 100 * SECOND; /* just now, whatever the machine does */
    CHECK_EQ(take(0), -EAGAIN);
    CHECK_EQ(lock_take(l, &seat, &later, 0), -EAGAIN);
    CHECK_EQ(lock_take(l, &seat, &late, 0), 0);
    CHECK_EQ(late.since, 0);
    give();
    l->released_at = 0; /* long ago: he does not come */
    CHECK_EQ(lock_take(l, &seat, &none, 0), 0);
    CHECK_EQ(l->waiting[later.place], 0);
    give();
    CHECK_EQ(lock_take(l, &seat, &later, 0), 0); /* but he may still, later */
    give();
    end();
}

TEST(who_finds_no_place_to_wait_still_gets_it)
{
    begin();
    for (int i = 0; i < LOCK_WAITERS; i++) /* of the dead */
        world->lock.waiting[i] = clock_now();
    pid_t owner = holder(hold_until_stop), child = process(wait_for_a_turn);
    count(&world->stop);
    finish(owner), finish(child);
    CHECK_EQ(world->turns, 1);
    CHECK_EQ(take(NEVER), 0);
    give();
    end();
}

/* --- Threads, tickets, deadlines --- */

struct waiting {
    struct lock_ticket ticket;
    int ret;
};

static void *wait_on(void *arg)
{
    struct waiting *w = arg;
    w->ret = lock_take(&world->lock, &seat, &w->ticket, clock_now() + SECOND / 1000);
    return NULL;
}

static void *give_back(void *arg)
{
    give();
    return arg;
}

TEST(a_ticket_keeps_its_place_from_slice_to_slice_and_thread_to_thread)
{
    struct waiting w = {0};
    begin();
    pid_t child = holder(hold_until_stop);
    in_thread(wait_on, &w);
    CHECK_EQ(w.ret, -EAGAIN);
    struct lock_ticket first = w.ticket;
    in_thread(wait_on, &w);
    CHECK_EQ(w.ret, -EAGAIN);
    CHECK_EQ(w.ticket.since, first.since);
    CHECK_EQ(w.ticket.place, first.place);
    count(&world->stop);
    finish(child);
    in_thread(wait_on, &w);
    CHECK_EQ(w.ret, 0);
    CHECK_EQ(w.ticket.since, 0);
    CHECK_EQ(world->lock.waiting[first.place], 0);
    give();
    end();
}

TEST(any_thread_of_the_owner_gives_it_back)
{
    begin();
    CHECK_EQ(take(NEVER), 0);
    in_thread(give_back, NULL);
    finish(process(wait_for_a_turn));
    CHECK_EQ(world->turns, 1);
    end();
}

TEST(only_the_owner_gives_it_back)
{
    begin();
    pid_t child = holder(hold_for_ever);
    give();
    CHECK_EQ(take(0), -EAGAIN);
    end_by_kill(child);
    end();
}

TEST(waiting_ends_at_the_time_limit)
{
    begin();
    pid_t child = holder(hold_for_ever);
    uint64_t until = clock_now() + SECOND / 50;
    CHECK_EQ(take(until), -EAGAIN);
    CHECK(clock_now() >= until);
    uint64_t since;
    CHECK_EQ(first_waiter(&world->lock, &since), NO_PLACE);
    end_by_kill(child);
    end();
}

/* --- Stopped and killed --- */

TEST(a_stopped_waiter_holds_up_nobody)
{
    begin();
    CHECK_EQ(take(NEVER), 0);
    pid_t child = process(wait_for_a_turn);
    await_overdue(1);
    stop(child);
    give();
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(take(NEVER), 0);
        give();
    }
    kill(child, SIGCONT);
    finish(child);
    CHECK_EQ(world->turns, 1);
    end();
}

TEST(a_stopped_owner_is_not_a_dead_one)
{
    begin();
    pid_t child = holder(hold_until_stop);
    stop(child);
    CHECK_EQ(take(clock_now() + 3 * LOCK_NAP_NS), -EAGAIN);
    kill(child, SIGCONT);
    count(&world->stop);
    CHECK_EQ(take(NEVER), 0);
    finish(child);
    give();
    end();
}

TEST(a_dead_owner_is_followed_by_one_who_repairs)
{
    begin();
    pid_t child[4], owner = holder(hold_for_ever);
    for (int i = 0; i < 4; i++)
        child[i] = process(wait_for_a_turn);
    await_overdue(4);
    end_by_kill(owner);
    for (int i = 0; i < 4; i++)
        finish(child[i]);
    CHECK_EQ(world->turns, 4);
    CHECK_EQ(world->repairs, 1);
    end();
}

TEST(a_dead_owner_is_noticed_by_one_who_only_looks)
{
    begin();
    end_by_kill(holder(hold_for_ever));
    CHECK_EQ(take(0), 1);
    give();
    CHECK_EQ(take(0), 0);
    give();
    end();
}

TEST(a_place_is_taken_over_with_the_lock_that_its_last_owner_held)
{
    struct lock_seat next;
    begin();
    end_by_kill(holder(hold_for_ever));
    uint64_t dead = world->lock.owner;
    CHECK_EQ(lock_join(&world->lock, memfd, &next, NULL), 1);
    CHECK_EQ(seat_of(world->lock.owner), seat_of(dead));
    CHECK(!follow(&world->lock, &seat, dead)); /* who found him dead comes too late */
    CHECK_EQ(take(0), -EAGAIN);
    lock_give(&world->lock, &next);
    CHECK_EQ(take(0), 0);
    give();
    lock_leave(&next);
    end();
}

static void *take_and_end(void *arg)
{
    take(NEVER);
    return arg;
}

static void hold_by_a_thread_that_ended(void)
{
    in_thread(take_and_end, NULL);
    count(&world->ready);
    for (;;)
        pause();
}

TEST(an_owner_lives_as_long_as_any_of_its_threads)
{
    begin();
    pid_t child = holder(hold_by_a_thread_that_ended);
    CHECK_EQ(take(clock_now() + 3 * LOCK_NAP_NS), -EAGAIN);
    end_by_kill(child);
    CHECK_EQ(take(NEVER), 1);
    give();
    end();
}

TEST(a_waiter_that_is_killed_leaves_nothing_that_others_wait_for)
{
    begin();
    CHECK_EQ(take(NEVER), 0);
    pid_t child = process(wait_for_a_turn);
    await_overdue(1);
    end_by_kill(child);
    give();
    CHECK_EQ(take(NEVER), 0);
    give();
    CHECK_EQ(world->lock.waiting[0], 0);
    end();
}

TEST(too_many_processes_are_told_so)
{
    struct skerry_error err;
    struct lock_seat more[LOCK_SEATS];
    begin();
    for (int i = 1; i < LOCK_SEATS; i++)
        CHECK_EQ(lock_join(&world->lock, memfd, &more[i], &err), 0);
    CHECK_EQ(lock_join(&world->lock, memfd, &more[0], &err), -EUSERS);
    CHECK_TEXT(err.text, "126 processes use this storage already: start fewer workers");
    lock_leave(&more[7]);
    CHECK_EQ(lock_join(&world->lock, memfd, &more[7], &err), 0);
    CHECK_EQ(more[7].number, 7);
    for (int i = 1; i < LOCK_SEATS; i++)
        lock_leave(&more[i]);
    end();
}

/* --- Killed anywhere --- */

#define BREAKPOINT() __asm__ volatile("int3")

static void take_and_give(void)
{
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    BREAKPOINT();
    take(NEVER);
    give();
    count(&world->turns);
    pause();
}

static void step(pid_t child)
{
    int status;
    CHECK_EQ(ptrace(PTRACE_SINGLESTEP, child, 0, 0), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WIFSTOPPED(status) ? WSTOPSIG(status) : 0, SIGTRAP);
}

/* Lets a process take and give, instruction by instruction, and kills it. What it would
 * have left, had it died in any of them, goes to (left); returns how many different
 * states that were. */
static int leave(struct lock *left, int most)
{
    int n = 1;
    pid_t child = process(take_and_give);
    CHECK_EQ(waitpid(child, NULL, WUNTRACED), child);
    for (left[0] = world->lock; !world->turns;) {
        step(child);
        if (memcmp(&left[n - 1], &world->lock, sizeof(*left)) == 0)
            continue;
        CHECK(n < most);
        left[n++] = world->lock;
    }
    end_by_kill(child);
    return n;
}

/* Tells how many of the ways to die left the lock taken. */
static int die_everywhere(void)
{
    struct lock left[32];
    int held = 0, n = leave(left, 32);
    for (int i = 0; i < n; i++) {
        int holds = seat_of(left[i].owner) != 0;
        world->lock = left[i];
        CHECK_EQ(take(NEVER), holds);
        give();
        CHECK_EQ(take(NEVER), 0);
        give();
        held += holds;
    }
    return held;
}

TEST(an_owner_may_die_in_any_instruction)
{
    begin();
    CHECK_EQ(die_everywhere(), 1);
    end();
}

TEST(an_owner_may_die_in_any_instruction_while_others_wait)
{
    struct lock_ticket late = {.since = 1, .place = NO_PLACE};
    begin();
    enlist(&world->lock, &late);
    CHECK(die_everywhere() > 1);
    end();
}

/* Changes two numbers that must be the same. */
static void change_twins(void)
{
    for (;;) {
        if (take(NEVER) == 1)
            repair();
        else if (world->twin != world->counter)
            count(&world->wrong);
        *(volatile uint64_t *)&world->counter += 1;
        count(&world->turns);
        *(volatile uint64_t *)&world->twin += 1;
        give();
    }
}

TEST(processes_that_are_killed_one_by_one_leave_a_lock_that_works)
{
    uint64_t random = 42;
    pid_t child[3];
    begin();
    for (int i = 0; i < 3; i++)
        child[i] = process(change_twins);
    for (int i = 0; i < 300; i++) {
        await(&world->turns, world->turns + (uint32_t)(check_random(&random) % 4));
        for (uint64_t spin = check_random(&random) % 4096; spin; spin--)
            __asm__ volatile("");
        end_by_kill(child[i % 3]);
        child[i % 3] = process(change_twins);
    }
    for (int i = 0; i < 3; i++)
        end_by_kill(child[i]);
    if (take(NEVER) == 0)
        CHECK_EQ(world->twin, world->counter);
    give();
    CHECK_EQ(world->wrong, 0);
    end();
}
