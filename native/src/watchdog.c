/* watchdog.c: see watchdog.h. KVM API, 5, immediate_exit: closes the race between the
 * signal and the entry. */
#include "watchdog.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 2000000 /* how late a kick may be */
#define IDLE_TICKS 50
#define KICK_SIGNAL (SIGRTMIN + 7)

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct watch *list;
static uint32_t awake; /* futex: 0 while the thread sleeps */
static int no_thread;  /* errno of its creation */

uint64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000UL + (uint64_t)t.tv_nsec;
}

static void kick(const struct watch *w)
{
    __atomic_store_n(&w->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_tgkill, getpid(), w->thread, KICK_SIGNAL);
}

/* Kicks what is over its time. Returns how many runs there are. */
static int look(void)
{
    int running = 0;
    uint64_t now = clock_now();
    pthread_mutex_lock(&list_lock);
    for (struct watch *w = list; w; w = w->next) {
        uint64_t deadline = __atomic_load_n(&w->deadline, __ATOMIC_SEQ_CST);
        running += deadline != 0;
        if (deadline && deadline <= now)
            kick(w);
    }
    pthread_mutex_unlock(&list_lock);
    return running;
}

static void sleep_until_needed(void)
{
    __atomic_store_n(&awake, 0, __ATOMIC_SEQ_CST);
    if (!look())
        syscall(SYS_futex, &awake, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    __atomic_store_n(&awake, 1, __ATOMIC_SEQ_CST);
}

static void *watch_loop(void *unused)
{
    const struct timespec tick = {.tv_nsec = TICK_NS};
    for (int idle = 0;; idle++) {
        nanosleep(&tick, NULL);
        if (look())
            idle = 0;
        if (idle >= IDLE_TICKS) {
            sleep_until_needed();
            idle = 0;
        }
    }
    return unused;
}

static void on_kick(int signal)
{
    (void)signal;
}

static void start(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    struct sigaction action = {.sa_handler = on_kick, .sa_flags = SA_RESTART};
    sigaction(KICK_SIGNAL, &action, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    awake = 1;
    no_thread = pthread_create(&thread, &attributes, watch_loop, NULL);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int watch_add(struct watch *w, struct kvm_run *run)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    if (no_thread)
        return -no_thread;
    pthread_mutex_lock(&list_lock);
    *w = (struct watch){.run = run, .next = list};
    list = w;
    pthread_mutex_unlock(&list_lock);
    return 0;
}

void watch_remove(struct watch *w)
{
    pthread_mutex_lock(&list_lock);
    for (struct watch **at = &list; *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    pthread_mutex_unlock(&list_lock);
}

static pid_t this_thread(void)
{
    static __thread pid_t tid;
    if (!tid)
        tid = (pid_t)syscall(SYS_gettid);
    return tid;
}

void watch_begin(struct watch *w, uint64_t deadline)
{
    w->thread = this_thread();
    __atomic_store_n(&w->deadline, deadline, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&awake, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&awake, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &awake, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
}

void watch_end(struct watch *w)
{
    __atomic_store_n(&w->deadline, 0, __ATOMIC_RELEASE);
}
