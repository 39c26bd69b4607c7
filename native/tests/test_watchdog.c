/* The watchdog, with a vCPU that does not run: a kick is a flag and a signal. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "watchdog.h"

#define SECOND 1000000000UL
#define GENEROUS (60 * SECOND)

static struct kvm_run run;
static struct watch w;

static int kicked(void)
{
    return __atomic_load_n(&run.immediate_exit, __ATOMIC_SEQ_CST);
}

static void begin(void)
{
    run.immediate_exit = 0;
    watch_add(&w, &run);
}

static void pause_for(uint64_t ns)
{
    const struct timespec t = {(time_t)(ns / SECOND), (long)(ns % SECOND)};
    nanosleep(&t, NULL);
}

/* Waits for a kick, as long as it takes. */
static int comes_kick(void)
{
    uint64_t end = clock_now() + GENEROUS;
    while (!kicked() && clock_now() < end)
        pause_for(100000);
    return kicked();
}

TEST(a_run_over_its_deadline_is_kicked)
{
    begin();
    uint64_t deadline = clock_now() + SECOND / 100;
    watch_begin(&w, deadline);
    CHECK(comes_kick());
    CHECK(clock_now() >= deadline);
    watch_end(&w);
    watch_remove(&w);
}

TEST(a_run_is_kicked_again_and_again)
{
    begin();
    watch_begin(&w, clock_now());
    for (int i = 0; i < 5; i++) {
        __atomic_store_n(&run.immediate_exit, 0, __ATOMIC_SEQ_CST);
        CHECK(comes_kick());
    }
    watch_end(&w);
    watch_remove(&w);
}

/* KVM_RUN is a system call that a signal ends, as this one is. */
TEST(a_kick_ends_what_the_thread_sleeps_in)
{
    begin();
    const struct timespec long_time = {GENEROUS / SECOND, 0};
    watch_begin(&w, clock_now() + SECOND / 100);
    CHECK_EQ(nanosleep(&long_time, NULL), -1);
    CHECK_EQ(errno, EINTR);
    watch_end(&w);
    watch_remove(&w);
}

TEST(a_run_within_its_time_is_left_alone)
{
    begin();
    watch_begin(&w, clock_now() + 3600 * SECOND);
    pause_for(SECOND / 50);
    watch_end(&w);
    CHECK(!kicked());
    watch_remove(&w);
}

TEST(what_does_not_run_is_left_alone)
{
    begin();
    watch_begin(&w, clock_now() + 3600 * SECOND);
    watch_end(&w);
    pause_for(SECOND / 50);
    CHECK(!kicked());
    watch_remove(&w);
}

/* Behind watch_remove the run may be unmapped: ASan would see a kick. */
TEST(what_was_removed_is_never_touched_again)
{
    for (int i = 0; i < 20; i++) {
        struct watch *mine = calloc(1, sizeof(*mine));
        struct kvm_run *gone = calloc(1, sizeof(*gone));
        watch_add(mine, gone);
        watch_begin(mine, clock_now());
        pause_for(SECOND / 1000);
        watch_remove(mine);
        free(gone);
        free(mine);
    }
    pause_for(SECOND / 100);
}

TEST(a_watchdog_that_sleeps_wakes_up)
{
    begin();
    pause_for(SECOND / 2);
    watch_begin(&w, clock_now());
    CHECK(comes_kick());
    watch_end(&w);
    watch_remove(&w);
}

TEST(removing_twice_or_what_was_never_added_is_fine)
{
    struct watch never = {0};
    watch_remove(&never);
    begin();
    watch_remove(&w);
    watch_remove(&w);
}

/* Each run of a thread is over its time at once, and must see a kick of its own. */
static void *run_often(void *failed)
{
    struct kvm_run mine = {0};
    struct watch watch;
    watch_add(&watch, &mine);
    for (int i = 0; i < 20; i++) {
        uint64_t end = clock_now() + GENEROUS;
        __atomic_store_n(&mine.immediate_exit, 0, __ATOMIC_SEQ_CST);
        watch_begin(&watch, clock_now());
        while (!__atomic_load_n(&mine.immediate_exit, __ATOMIC_SEQ_CST))
            if (clock_now() > end) {
                *(int *)failed = 1;
                break;
            }
        watch_end(&watch);
    }
    watch_remove(&watch);
    return NULL;
}

TEST(threads_are_watched_at_the_same_time)
{
    pthread_t thread[4];
    int failed[4] = {0};
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, run_often, &failed[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    CHECK_EQ(failed[0] | failed[1] | failed[2] | failed[3], 0);
}
