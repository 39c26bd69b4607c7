/* ring.h: threads in a ring, of which one at a time has the turn, and hands it on. The
 * same code runs in a guest (threads.c) and here. */

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct member {
    _Atomic int has_turn;
    struct member *next;
    long *left; /* turns; whoever has the turn may look */
    pthread_t thread;
};

static void hand_to(struct member *m)
{
    atomic_store(&m->has_turn, 1);
    syscall(SYS_futex, &m->has_turn, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

/* Takes turns until none is left; then one more, so that the next one ends as well. */
static void *take_turns(void *arg)
{
    struct member *m = arg;
    for (int over = 0; !over;) {
        while (!atomic_load(&m->has_turn))
            syscall(SYS_futex, &m->has_turn, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
        atomic_store(&m->has_turn, 0);
        over = (*m->left)-- <= 0;
        hand_to(m->next);
    }
    return 0;
}

/* Makes (threads) threads, has them take (turns) turns, and waits until they have
 * ended. Ends the process where so many cannot be made. */
void ring_run(int threads, long turns)
{
    struct member *ring = calloc((size_t)threads, sizeof(*ring));
    pthread_attr_t attr;
    if (ring == 0 || pthread_attr_init(&attr) != 0)
        abort();
    pthread_attr_setstacksize(&attr, 64 << 10);
    for (int i = 0; i < threads; i++) {
        ring[i].left = &turns;
        ring[i].next = &ring[(i + 1) % threads];
        if (pthread_create(&ring[i].thread, &attr, take_turns, &ring[i]) != 0)
            abort(); /* those that are there would wait for ever */
    }
    hand_to(ring);
    for (int i = 0; i < threads; i++)
        pthread_join(ring[i].thread, 0);
    pthread_attr_destroy(&attr);
    free(ring);
}
