"""Signals and threads: one program tries them together, on this Linux and in a guest,
and finds the same. Who sends to a thread that is to wait sends until it has noticed."""

import pytest
from support.guests import Guest, compile_guest
from support.oracle import MAIN, SHOW, differing, on_linux, results
from support.pthreads import FLAGS, PTHREADS

pytestmark = pytest.mark.core

HEAD = (
    SHOW
    + PTHREADS
    + r"""
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/ucontext.h>

#define CALL(name, ...) result(syscall(SYS_##name, ##__VA_ARGS__))
#define BIT(n) (1ul << ((n) - 1))

static void on(int signal, void *handler, int flags)
{
    struct sigaction action = {.sa_flags = flags | SA_SIGINFO};
    action.sa_sigaction = handler;
    sigaction(signal, &action, 0);
}
static unsigned long mask_now(void)
{
    unsigned long mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8);
    return mask;
}
static void block(unsigned long mask)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8);
}
static unsigned long pending(void)
{
    unsigned long set = 0;
    syscall(SYS_rt_sigpending, &set, 8);
    return set;
}
static int send(int tid, int signal)
{
    return syscall(SYS_tgkill, getpid(), tid, signal) ? -errno : 0;
}
#define HANDLER(name) static void name(int number, siginfo_t *info, void *context)
"""
)

PROGRAM = (
    HEAD
    + r"""
/* --- A signal ends what its thread waits for --- */

static volatile int tid, begun, over, handled_by, handled;
static int word, empty[2], full[2], event, timer, set;
static struct timespec rest;
HANDLER(note)
{
    handled_by = gettid();
    handled++;
}

static const struct timespec hour = {3600};
static long in_futex(void) { return CALL(futex, &word, FUTEX_WAIT, 0, 0); }
static long in_futex_for_long(void)
{
    return CALL(futex, &word, FUTEX_WAIT, 0, &hour);
}
static long in_read(void)
{
    char byte;
    return CALL(read, empty[0], &byte, 1);
}
static long in_write(void) { return CALL(write, full[1], text, 1); }
static long in_event(void)
{
    long count;
    return CALL(read, event, &count, 8);
}
static long in_timer(void)
{
    long count;
    return CALL(read, timer, &count, 8);
}
static long in_poll(void)
{
    return CALL(poll, &(struct pollfd){empty[0], POLLIN}, 1, -1);
}
static long in_poll_for_long(void)
{
    return CALL(poll, &(struct pollfd){empty[0], POLLIN}, 1, 3600000);
}
static long in_select(void)
{
    fd_set in;
    FD_ZERO(&in);
    FD_SET(empty[0], &in);
    return CALL(select, empty[0] + 1, &in, 0, 0, 0);
}
static long in_select_for_long(void)
{
    struct timeval left = {3600, 1};
    const long ret = CALL(select, 0, 0, 0, 0, &left);
    return ret == -EINTR && left.tv_sec > 3500 && left.tv_sec < 3600 ? ret : 1;
}
static long in_ppoll_for_long(void)
{
    struct timespec left = hour;
    const long ret = CALL(ppoll, 0, 0, &left, 0, 0);
    return ret == -EINTR && left.tv_sec > 3500 && left.tv_sec < 3600 ? ret : 1;
}
static long in_ppoll_with_constants(void) { return CALL(ppoll, 0, 0, &hour, 0, 0); }
static long in_epoll(void)
{
    struct epoll_event got;
    return CALL(epoll_wait, set, &got, 1, -1);
}
static long in_nanosleep(void)
{
    const long ret = CALL(nanosleep, &hour, &rest);
    return ret == -EINTR && rest.tv_sec > 3500 && rest.tv_sec < 3600 ? ret : 1;
}
static long in_pause(void) { return CALL(pause); }
static long in_sigsuspend(void)
{
    unsigned long all_but_it = ~BIT(SIGUSR1);
    return CALL(rt_sigsuspend, &all_but_it, 8);
}
static long in_sigtimedwait(void)
{
    unsigned long another = BIT(SIGUSR2);
    return CALL(rt_sigtimedwait, &another, 0, 0, 8);
}
static long in_sigtimedwait_for_it(void)
{
    unsigned long it = BIT(SIGUSR1);
    siginfo_t info;
    const long ret = CALL(rt_sigtimedwait, &it, &info, 0, 8);
    return ret == SIGUSR1 ? info.si_signo * 1000 - info.si_code : ret;
}

static void *wait_in(void *arg)
{
    block(0);
    tid = gettid();
    begun = 1;
    const long ret = ((long (*)(void))arg)();
    block(0);
    over = 1;
    return (void *)ret;
}
static pthread_t begin(void *work, void *arg)
{
    tid = begun = over = handled_by = handled = 0;
    const pthread_t thread = spawn(work, (long)arg);
    while (!begun)
        pass(1);
    return thread;
}
static long interrupted(void *wait)
{
    const pthread_t thread = begin(wait_in, wait);
    do {
        pass(5);
        send(tid, SIGUSR1);
    } while (!over);
    const long ret = result_of(thread);
    return !handled || handled_by == tid ? ret : 2;
}
/* Until a handler has run; then (ends) makes it ready. */
static long goes_on(void *wait, void (*ends)(void))
{
    const pthread_t thread = begin(wait_in, wait);
    do {
        pass(5);
        send(tid, SIGUSR1);
    } while (!handled && !over);
    if (!over)
        ends();
    return result_of(thread);
}
static void end_futex(void)
{
    do {
        syscall(SYS_futex, &word, FUTEX_WAKE, 1);
        pass(1);
    } while (!over);
}
static void end_read(void) { write(empty[1], "x", 1); }
static void end_write(void)
{
    char page[4096];
    read(full[0], page, sizeof(page));
}
static void end_event(void) { write(event, &(long){1}, 8); }

static void waiting(void)
{
    on(SIGUSR1, note, 0);
    IS(interrupted(in_futex));
    IS(interrupted(in_futex_for_long));
    IS(interrupted(in_read));
    IS(interrupted(in_write));
    IS(interrupted(in_event));
    IS(interrupted(in_timer));
    IS(interrupted(in_poll));
    IS(interrupted(in_poll_for_long));
    IS(interrupted(in_select));
    IS(interrupted(in_select_for_long));
    IS(interrupted(in_ppoll_for_long));
    IS(interrupted(in_ppoll_with_constants));
    IS(interrupted(in_epoll));
    IS(interrupted(in_nanosleep));
    IS(interrupted(in_pause));
    IS(interrupted(in_sigsuspend));
    IS(interrupted(in_sigtimedwait));
    on(SIGUSR1, note, SA_RESTART);
    IS(interrupted(in_futex_for_long));
    IS(interrupted(in_poll));
    IS(interrupted(in_select));
    IS(interrupted(in_epoll));
    IS(interrupted(in_nanosleep));
    IS(interrupted(in_pause));
    IS(interrupted(in_sigsuspend));
    IS(interrupted(in_sigtimedwait));
    IS(goes_on(in_futex, end_futex));
    IS(goes_on(in_read, end_read));
    IS(goes_on(in_write, end_write));
    IS(goes_on(in_event, end_event));
    signal(SIGUSR1, SIG_IGN);
    const pthread_t thread = begin(wait_in, in_read);
    for (int i = 0; i < 3; i++)
        pass(2), send(tid, SIGUSR1);
    end_read();
    IS(result_of(thread));
}

/* --- A thread that does not wait --- */

static volatile int stop;
HANDLER(stop_it)
{
    handled_by = gettid();
    stop = 1;
}
static void *spin(void *arg)
{
    tid = gettid();
    begun = 1;
    while (!stop)
        ;
    return (void *)(long)(handled_by == tid);
}
static void spinning(void)
{
    stop = 0;
    on(SIGUSR1, stop_it, 0);
    const pthread_t thread = begin(spin, 0);
    IS(send(tid, SIGUSR1));
    IS(result_of(thread));
    IS(send(1 << 22, 0)); /* nobody */
    IS(send(1 << 22, SIGUSR1));
    IS(send(gettid(), 0));
    IS(send(gettid(), 65));
}

/* --- Exceptions, each on the stack of who caused it --- */

struct fault {
    char stack[1 << 14];
    int handled, on_its_stack, where;
    sigjmp_buf back;
};
static __thread struct fault *mine;
HANDLER(fault)
{
    char here;
    mine->handled++;
    mine->on_its_stack += &here >= mine->stack && &here < mine->stack + (1 << 14);
    mine->where += info->si_addr == (void *)8;
    sched_yield();
    siglongjmp(mine->back, 1);
}
static void *cause_faults(void *arg)
{
    stack_t stack = {0}, was;
    mine = malloc(sizeof(*mine));
    memset(mine, 0, sizeof(*mine));
    sigaltstack(0, &was);
    stack.ss_sp = mine->stack;
    stack.ss_size = sizeof(mine->stack);
    sigaltstack(&stack, 0);
    for (volatile int i = 0; i < 5; i++) {
        if (sigsetjmp(mine->back, 1) == 0)
            *(volatile char *)8 = 1;
        pass(1);
    }
    return (void *)(long)(mine->handled * 1000 + mine->on_its_stack * 100 +
                          mine->where * 10 + (was.ss_flags == SS_DISABLE));
}
static void faulting(void)
{
    on(SIGSEGV, fault, SA_ONSTACK);
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        thread[i] = spawn(cause_faults, 0);
    for (int i = 0; i < 3; i++)
        IS(result_of(thread[i]));
    on(SIGSEGV, SIG_DFL, 0);
}

/* --- Masks --- */

static volatile int step;
static void until(int wanted)
{
    while (step < wanted)
        pass(1);
}
static unsigned long seen[8];
static int times[8];
static void *blocker(void *arg)
{
    seen[0] = mask_now(); /* what it was made with */
    block(BIT(SIGUSR1) | BIT(SIGTERM));
    tid = gettid();
    begun = 1;
    until(1);
    seen[1] = mask_now();
    seen[2] = pending();
    times[0] = handled;
    block(0);
    times[1] = handled;
    seen[3] = handled_by == gettid();
    return 0;
}
static void *taker(void *arg)
{
    unsigned long wanted = BIT(SIGTERM);
    siginfo_t info;
    begun = 1;
    const long ret = CALL(rt_sigtimedwait, &wanted, &info, 0, 8);
    return (void *)(ret * 1000 + info.si_code);
}
static void masking(void)
{
    on(SIGUSR1, note, 0);
    on(SIGTERM, note, 0);
    step = 0;
    block(BIT(SIGUSR2));
    pthread_t thread = begin(blocker, 0);
    send(tid, SIGUSR1);
    IS(mask_now());
    IS(pending());
    IS(handled);
    kill(getpid(), SIGTERM); /* to who does not block it */
    IS(handled);
    IS(handled_by == getpid());
    step = 1;
    result_of(thread);
    IS(seen[0]);
    IS(seen[1]);
    IS(seen[2]);
    IS(times[0]);
    IS(times[1]);
    IS(seen[3]);
    on(40, note, 0);
    step = handled = 0;
    thread = begin(blocker, 0); /* it lives until the next step */
    kill(getpid(), 40);
    IS(handled);
    IS(handled_by == getpid());
    step = 1;
    result_of(thread);
    handled = 0;
    block(BIT(SIGTERM)); /* now everybody does */
    kill(getpid(), SIGTERM);
    IS(pending());
    thread = begin(taker, 0);
    IS(result_of(thread));
    IS(pending());
    thread = begin(taker, 0);
    pass(5);
    kill(getpid(), SIGTERM);
    IS(result_of(thread));
    IS(handled);
    block(0);
    IS(handled);
}

/* --- A mask for the time of a wait --- */

static void masks_of_waits(void)
{
    struct pollfd none_ready = {empty[0], POLLIN}, ready = {full[0], POLLIN};
    const struct timespec now = {0};
    const unsigned long open = 0;
    struct epoll_event got;
    const struct {
        const void *mask;
        size_t size;
    } packed = {&open, 8};
    handled = 0;
    block(BIT(SIGUSR1));
    send(gettid(), SIGUSR1);
    TRY(ppoll, &ready, 1, 0, &open, 8);
    IS(handled);
    TRY(ppoll, &none_ready, 1, &now, 0, 8);
    IS(handled);
    TRY(ppoll, &none_ready, 1, 0, &open, 8);
    IS(handled);
    IS(mask_now());
    send(gettid(), SIGUSR1);
    TRY(ppoll, &none_ready, 1, &now, &open, 8);
    send(gettid(), SIGUSR1);
    TRY(pselect6, 0, 0, 0, 0, 0, &packed);
    IS(handled);
    send(gettid(), SIGUSR1);
    TRY(epoll_pwait, set, &got, 1, -1, &open, 8);
    IS(handled);
    IS(mask_now());
    TRY(ppoll, &none_ready, 1, 0, &open, 4);
    TRY(ppoll, &none_ready, 1, 0, 8, 8);
    IS(mask_now());
    block(0);
}

/* --- Alarms --- */

static void alarm_in(long ms, int flags)
{
    const struct itimerval once = {{0}, {0, ms * 1000}};
    handled = handled_by = 0;
    on(SIGALRM, note, flags);
    setitimer(ITIMER_REAL, &once, 0);
}
static void alarms(void)
{
    alarm_in(20, 0);
    IS(in_futex());
    IS(handled);
    alarm_in(20, SA_RESTART);
    IS(in_futex_for_long());
    alarm_in(20, 0);
    IS(in_read());
    alarm_in(20, 0);
    IS(in_poll());
    alarm_in(20, 0);
    IS(in_epoll());
    alarm_in(20, 0);
    IS(in_select_for_long());
    alarm_in(20, 0);
    IS(in_pause());
    IS(handled_by == getpid());
}
static void *let_it_in(void *arg)
{
    block(0);
    tid = gettid();
    begun = 1;
    return (void *)in_futex();
}
static void alarm_for_another(void)
{
    block(BIT(SIGALRM));
    const pthread_t thread = begin(let_it_in, 0);
    alarm_in(20, 0);
    IS(result_of(thread));
    IS(handled_by == tid);
    block(0);
}

static void try_all(void)
{
    char page[4096];
    pipe(empty);
    pipe2(full, O_NONBLOCK);
    while (write(full[1], page, sizeof(page)) > 0)
        ;
    fcntl(full[1], F_SETFL, 0);
    event = eventfd(0, 0);
    timer = timerfd_create(CLOCK_MONOTONIC, 0);
    set = epoll_create1(0);
    struct epoll_event wanted = {EPOLLIN};
    epoll_ctl(set, EPOLL_CTL_ADD, empty[0], &wanted);
    alarms();
    waiting();
    spinning();
    faulting();
    masking();
    masks_of_waits();
    alarms();
    alarm_for_another();
    for (int fd = 3; fd < 16; fd++)
        close(fd);
}
"""
    + MAIN
)


@pytest.fixture(scope="module")
def linux() -> dict[str, str]:
    """What this Linux does."""
    return on_linux(compile_guest(PROGRAM, flags=FLAGS))


@pytest.mark.parametrize("when", ["at the start", "in a request"])
def test_signals_of_threads_do_what_they_do_on_linux(guest, linux, when):
    """They end waits, go to their thread and its stack, and are masked by each."""
    vm = guest(PROGRAM, flags=FLAGS, whole=True, arguments=[when], limit=60.0)
    assert differing(results(vm.text(f"/{when}")), linux) == {}


# --- In requests ---

WORKER = (
    HEAD
    + r"""
static volatile int tid, handled_by, asked, other;
static int to[2];
HANDLER(note) { handled_by = gettid(); }
static void *work(void *arg)
{
    char byte;
    stack_t stack = {malloc(1 << 14), 0, 1 << 14};
    sigaltstack(&stack, 0);
    block(BIT(SIGUSR2));
    tid = gettid();
    for (;;)
        if (read(to[0], &byte, 1) < 0 && errno == EINTR)
            asked++;
}
static void *end_by_itself(void *arg) { kill(getpid(), SIGTERM); }
static void on_get(const char *url, const char *arg)
{
    char byte;
    switch (url[1]) {
    case 'h': /* its handler runs */
        send(tid, SIGUSR1);
        while (!asked)
            pass(1);
        break;
    case 'b': /* it is blocked there, but not here */
        send(tid, SIGUSR2);
        kill(getpid(), SIGUSR2);
        break;
    case 'd': /* nobody handles it */
        send(tid, SIGTERM);
        for (;;)
            ;
    case 'p': /* likewise, and the first thread waits */
        result_of(spawn(end_by_itself, 0));
        break;
    case 'a': /* all wait, behind the alarm for ever */
        on(SIGALRM, note, SA_RESTART);
        setitimer(ITIMER_REAL, &(struct itimerval){{0}, {0, 1000}}, 0);
        syscall(SYS_futex, &other, FUTEX_WAIT, 0, 0);
        break;
    case 'u': /* nobody handles the alarm */
        setitimer(ITIMER_REAL, &(struct itimerval){{0}, {0, 1000}}, 0);
        syscall(SYS_futex, &other, FUTEX_WAIT, 0, 0);
        break;
    case 's': /* all spin */
        on(SIGALRM, note, 0);
        setitimer(ITIMER_REAL, &(struct itimerval){{0}, {0, 1000}}, 0);
        while (!handled_by)
            ;
    }
    pass(5);
    used = sprintf(text, "%d %d", handled_by, asked);
    backend_response(200, "text/plain", 10, text, used);
}
int main(void)
{
    pipe(to);
    on(SIGUSR1, note, 0);
    on(SIGUSR2, note, 0);
    spawn(work, 0);
    while (!tid)
        pass(1);
    pass(1);
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


@pytest.fixture
def worker(guest) -> Guest:
    return guest(WORKER, flags=FLAGS, whole=True)


def serve(vm: Guest, url: str) -> str:
    """What is answered; the clone, unless it is dropped, is as frozen."""
    answer = vm.get(url)
    assert vm.vm.differing_pages() == 0
    return answer.body.decode() if answer.status == 200 else vm.failure


def test_a_thread_of_start_up_gets_signals_in_each_request(worker):
    for _ in range(3):
        assert serve(worker, "/handled") == "2 1"
        assert serve(worker, "/blocked there") == "1 0"
        assert serve(worker, "/spin") == "1 0"
        assert serve(worker, "/") == "0 0"


FAILURES = {
    "/default": "ended itself with signal 15 (SIGTERM)",
    "/program": "ended itself with signal 15 (SIGTERM)",
    "/alarm": "deadlock: all threads wait for each other",
    "/unhandled": "ended itself with signal 14 (SIGALRM)",
}


@pytest.mark.parametrize("url", FAILURES)
def test_a_signal_that_no_thread_handles_fails_the_request(worker, url):
    assert serve(worker, url) == FAILURES[url]
    assert serve(worker, "/handled") == "2 1"


ALONE = (
    HEAD
    + r"""
HANDLER(note) {}
static void on_get(const char *url, const char *arg)
{
    int ends[2];
    char byte;
    pipe(ends);
    on(SIGALRM, url[1] == 'h' ? note : SIG_DFL, SA_RESTART);
    block(url[1] == 'b' ? BIT(SIGALRM) : 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0}, {0, 1000}}, 0);
    read(ends[0], &byte, 1);
}
int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("/handled", "deadlock: waits for an empty pipe that nobody can fill"),
        ("/blocked", "deadlock: waits for an empty pipe that nobody can fill"),
        ("/default", "ended itself with signal 14 (SIGALRM)"),
    ],
)
def test_a_wait_that_only_an_alarm_can_end_fails_behind_it(guest, url, why):
    vm = guest(ALONE, flags=FLAGS, whole=True)
    assert [serve(vm, url) for _ in range(2)] == [why] * 2
