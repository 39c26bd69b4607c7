/* The lock of storage: whoever holds it may die. */
#include "../src/storage.c"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "check.h"

#define SECOND 1000000000UL

static struct control *control;

static void begin(void)
{
    control = mmap(NULL, page_up(sizeof(*control)), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(control != MAP_FAILED);
    init_lock(&control->lock);
}

static void end(void)
{
    munmap(control, page_up(sizeof(*control)));
}

/* A child that does not outlive a test that hangs. */
static pid_t fork_child(void)
{
    pid_t child = fork();
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

/* Another process takes the lock, and waits on (gate) before it ends, holding it. */
static pid_t holder(int gate)
{
    int taken[2];
    char byte;
    CHECK_EQ(pipe(taken), 0);
    pid_t child = fork_child();
    if (child == 0) {
        pthread_mutex_lock(&control->lock);
        byte = write(taken[1], "", 1) == 1;
        _exit(gate < 0 || read(gate, &byte, 1) >= 0 ? 0 : 1);
    }
    close(taken[1]);
    CHECK_EQ(read(taken[0], &byte, 1), 1);
    close(taken[0]);
    return child;
}

TEST(a_lock_whose_owner_died_is_taken_over)
{
    begin();
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(waitpid(holder(-1), NULL, 0) > 0, 1);
        CHECK_EQ(take_lock(control, clock_now() + 60 * SECOND), 0);
        CHECK_EQ(pthread_mutex_unlock(&control->lock), 0);
    }
    CHECK_EQ(take_lock(control, clock_now()), 0);
    CHECK_EQ(pthread_mutex_unlock(&control->lock), 0);
    end();
}

TEST(an_owner_that_dies_while_another_waits_lets_him_in)
{
    int gate[2];
    begin();
    CHECK_EQ(pipe(gate), 0);
    pid_t child = holder(gate[0]);
    pid_t killer = fork_child();
    if (killer == 0) {
        usleep(20000);
        _exit(write(gate[1], "", 1) == 1 ? 0 : 1);
    }
    CHECK_EQ(take_lock(control, clock_now() + 60 * SECOND), 0);
    CHECK_EQ(pthread_mutex_unlock(&control->lock), 0);
    waitpid(child, NULL, 0);
    waitpid(killer, NULL, 0);
    close(gate[0]), close(gate[1]);
    end();
}

TEST(waiting_for_the_lock_ends_at_the_deadline)
{
    int gate[2];
    begin();
    CHECK_EQ(pipe(gate), 0);
    pid_t child = holder(gate[0]);
    uint64_t deadline = clock_now() + SECOND / 50;
    CHECK_EQ(take_lock(control, deadline), ETIMEDOUT);
    CHECK(clock_now() >= deadline);
    CHECK_EQ(take_lock(control, 0), ETIMEDOUT);
    CHECK_EQ(write(gate[1], "", 1), 1);
    waitpid(child, NULL, 0);
    close(gate[0]), close(gate[1]);
    end();
}

TEST(the_allow_list_allows_what_is_on_it_and_all_when_empty)
{
    struct program_facts f = {0};
    CHECK(allowed(&f, 0) && allowed(&f, 0x1234));
    f.allow[f.allow_count++] = 0x1234;
    f.allow[f.allow_count++] = 0x5678;
    CHECK(allowed(&f, 0x1234) && allowed(&f, 0x5678));
    CHECK(!allowed(&f, 0x1235) && !allowed(&f, 0));
}
