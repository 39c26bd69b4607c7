/* signals.c: what a program does with signals that it sends to itself, that an alarm
 * sends, and that its mistakes are. */
#include "oracle.h"

#include <fenv.h>
#include <linux/futex.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#define BIT(n) (1ul << ((n) - 1))
#define ALL 8L         /* bytes of a set */
#define NOBODY 5000000 /* a number that no process has */

static int self;
static unsigned user;
static uint64_t set, old;

struct action {
    void *handler;
    uint64_t flags;
    void *restorer;
    uint64_t mask;
};

static void on(int signal, void *handler, int flags, uint64_t mask)
{
    struct sigaction action = {.sa_flags = flags | SA_SIGINFO};
    action.sa_sigaction = handler;
    memcpy(&action.sa_mask, &mask, sizeof(mask));
    sigaction(signal, &action, NULL);
}

static void block(uint64_t mask)
{
    CALL(rt_sigprocmask, SIG_SETMASK, &mask, NULL, ALL);
}

#define HANDLER(name) static void name(int number, siginfo_t *info, void *context)
#define REGISTER(n) (((ucontext_t *)context)->uc_mcontext.gregs[n])

/* --- Handlers and masks, asked for and set --- */

static void actions(void)
{
    struct action was, to = {(void *)0x1000, 0xdc000007, NULL, ~0ul};
    CALL(rt_sigaction, SIGUSR1, NULL, &was, ALL);
    CALL(rt_sigaction, SIGUSR1, &to, NULL, ALL);
    CALL(rt_sigaction, SIGUSR1, NULL, &was, ALL);
    IS(was.flags);
    IS(was.mask);
    to.handler = SIG_IGN;
    CALL(rt_sigaction, SIGUSR1, &to, BAD, ALL);
    CALL(rt_sigaction, SIGUSR1, NULL, &was, ALL);
    CALL(rt_sigaction, SIGUSR1, BAD, NULL, ALL);
    CALL(rt_sigaction, SIGUSR1, &to, NULL, 4L);
    for (int each = -1; each < 2; each++)
        CALL(rt_sigaction, each, NULL, &was, ALL);
    CALL(rt_sigaction, 64, NULL, &was, ALL);
    CALL(rt_sigaction, 65, NULL, &was, ALL);
    CALL(rt_sigaction, SIGKILL, NULL, &was, ALL);
    CALL(rt_sigaction, SIGKILL, &to, NULL, ALL);
    CALL(rt_sigaction, SIGSTOP, &to, NULL, ALL);
    to = (struct action){SIG_DFL};
    CALL(rt_sigaction, SIGUSR1, &to, &was, ALL);
}

static void masks(void)
{
    set = BIT(SIGUSR1) | BIT(SIGKILL) | BIT(SIGSTOP) | BIT(40);
    CALL(rt_sigprocmask, SIG_BLOCK, &set, &old, ALL);
    CALL(rt_sigprocmask, SIG_BLOCK, NULL, &old, ALL);
    set = BIT(40) | BIT(41);
    CALL(rt_sigprocmask, SIG_UNBLOCK, &set, &old, ALL);
    CALL(rt_sigprocmask, SIG_SETMASK, &set, &old, ALL);
    CALL(rt_sigprocmask, SIG_SETMASK, &set, BAD, ALL);
    CALL(rt_sigprocmask, SIG_SETMASK, BAD, &old, ALL);
    CALL(rt_sigprocmask, 99, &set, &old, ALL);
    CALL(rt_sigprocmask, 99, NULL, &old, ALL);
    CALL(rt_sigprocmask, SIG_BLOCK, &set, &old, 16L);
    block(0);
    CALL(rt_sigprocmask, SIG_BLOCK, NULL, &old, ALL);
}

/* --- Sending --- */

HANDLER(tell)
{
    IS(number);
    IS(info->si_signo);
    IS(info->si_code);
    IS(info->si_errno);
    IS(info->si_pid == self);
    IS(info->si_uid == user);
    IS(info->si_value.sival_int);
    CALL(rt_sigprocmask, SIG_BLOCK, NULL, &old, ALL);
}

static void sending(void)
{
    siginfo_t own = {.si_code = -5};
    own.si_pid = self;
    own.si_uid = user;
    on(SIGUSR1, tell, 0, BIT(SIGUSR2) | BIT(44));
    on(40, tell, 0, 0);
    CALL(kill, self, SIGUSR1);
    CALL(tkill, self, SIGUSR1);
    CALL(tgkill, self, self, 40);
    own.si_value.sival_int = 77;
    CALL(rt_sigqueueinfo, self, 40, &own);
    CALL(rt_tgsigqueueinfo, self, self, SIGUSR1, &own);
    own.si_code = 5;
    CALL(rt_sigqueueinfo, self, SIGUSR1, &own);
    CALL(kill, self, 0);
    CALL(kill, self, 65);
    CALL(kill, self, -1);
    CALL(kill, NOBODY, SIGUSR1);
    CALL(kill, -NOBODY, 0);
    CALL(tkill, 0, SIGUSR1);
    CALL(tkill, NOBODY, SIGUSR1);
    CALL(tkill, self, 65);
    CALL(tgkill, self, NOBODY, SIGUSR1);
    CALL(tgkill, NOBODY, self, SIGUSR1);
    CALL(tgkill, 0, self, SIGUSR1);
    CALL(tgkill, self, -1, SIGUSR1);
    CALL(tgkill, self, self, 65);
    CALL(tgkill, self, self, 0);
    CALL(rt_sigqueueinfo, self, SIGUSR1, BAD);
    CALL(rt_sigqueueinfo, self, 65, &own);
    CALL(rt_sigqueueinfo, NOBODY, 40, &own);
    CALL(rt_tgsigqueueinfo, self, 0, 40, &own);
    CALL(rt_tgsigqueueinfo, self, NOBODY, 40, &own);
    CALL(rt_tgsigqueueinfo, self, self, 40, BAD);
    CALL(rt_tgsigqueueinfo, self, self, 0, &own);
}

/* --- Waiting to be delivered --- */

static int order[20], delivered;
HANDLER(count)
{
    if (delivered < 20)
        order[delivered++] = number * 1000 + info->si_value.sival_int;
}

static void queue(int number, int value)
{
    siginfo_t info = {.si_code = SI_QUEUE};
    info.si_value.sival_int = value;
    CALL(rt_sigqueueinfo, self, number, &info);
}

static void pending(void)
{
    const int used[] = {SIGUSR1, SIGUSR2, 40, 41};
    for (int i = 0; i < 4; i++)
        on(used[i], count, 0, ~0ul);
    block(~0ul);
    queue(41, 1);
    queue(40, 2);
    queue(41, 3);
    queue(SIGUSR2, 4);
    queue(SIGUSR2, 5);
    CALL(tgkill, self, self, SIGUSR1);
    CALL(kill, self, SIGCHLD);
    CALL(rt_sigpending, &set, ALL);
    IS(set);
    set = 0;
    CALL(rt_sigpending, &set, 4L);
    IS(set);
    CALL(rt_sigpending, &set, 9L);
    CALL(rt_sigpending, BAD, ALL);
    block(0);
    for (int i = 0; i < delivered; i++)
        IS(order[i]);
    CALL(rt_sigpending, &set, ALL);
    IS(set);
    block(BIT(40) | BIT(SIGUSR1));
    queue(40, 6);
    CALL(kill, self, SIGUSR1);
    signal(40, SIG_IGN); /* forgets it */
    CALL(rt_sigpending, &set, ALL);
    IS(set);
    signal(SIGUSR1, SIG_IGN);
    block(0);
    IS(delivered);
}

static void taking(void)
{
    const struct timespec now = {0}, bad = {0, -1}, soon = {0, 2000000};
    siginfo_t info;
    block(BIT(40) | BIT(SIGUSR1) | BIT(SIGALRM));
    signal(SIGUSR1, SIG_DFL);
    set = BIT(40) | BIT(SIGUSR1);
    queue(40, 8);
    CALL(kill, self, SIGUSR1);
    for (int i = 0; i < 3; i++) {
        memset(&info, 1, sizeof(info));
        CALL(rt_sigtimedwait, &set, &info, &now, ALL);
        show(&info, 8);
        IS(info.si_code);
        IS(info.si_value.sival_int);
    }
    CALL(rt_sigtimedwait, &set, NULL, &soon, ALL);
    CALL(rt_sigtimedwait, &set, NULL, &bad, ALL);
    CALL(rt_sigtimedwait, &set, NULL, BAD, ALL);
    CALL(rt_sigtimedwait, BAD, NULL, &now, ALL);
    CALL(rt_sigtimedwait, &set, NULL, &now, 4L);
    queue(40, 9);
    CALL(rt_sigtimedwait, &set, BAD, &now, ALL);
    CALL(rt_sigtimedwait, &set, NULL, &now, ALL);
    set = BIT(SIGALRM);
    CALL(setitimer, ITIMER_REAL, &(struct itimerval){{0}, {0, 2000}}, NULL);
    CALL(rt_sigtimedwait, &set, &info, NULL, ALL);
    IS(info.si_code);
    block(0);
}

/* --- How handlers run --- */

static int depth;
HANDLER(again)
{
    IS(++depth);
    if (depth < 3)
        CALL(kill, self, number);
    IS(depth--);
}

HANDLER(first)
{
    CALL(kill, self, SIGUSR2);
    IS(delivered);
}

static void nesting(void)
{
    struct action was;
    on(SIGUSR1, again, SA_NODEFER, 0);
    CALL(kill, self, SIGUSR1);
    on(SIGUSR1, again, SA_RESETHAND | SA_NODEFER, 0);
    depth = 2;
    CALL(kill, self, SIGUSR1);
    CALL(rt_sigaction, SIGUSR1, NULL, &was, ALL);
    delivered = 0;
    on(SIGUSR2, count, 0, 0);
    on(SIGUSR1, first, 0, 0);
    CALL(kill, self, SIGUSR1);
    on(SIGUSR1, first, 0, BIT(SIGUSR2));
    CALL(kill, self, SIGUSR1);
    IS(delivered);
}

static char room[65536];
HANDLER(where)
{
    stack_t now, other = {room, 0, sizeof(room) / 2};
    IS((char *)&now > room && (char *)&now < room + sizeof(room));
    CALL(sigaltstack, NULL, &now);
    IS(now.ss_flags);
    IS(now.ss_size);
    CALL(sigaltstack, &other, NULL);
    IS(((ucontext_t *)context)->uc_stack.ss_size);
    IS(((ucontext_t *)context)->uc_stack.ss_flags);
}

static void stacks(void)
{
    stack_t to = {room, 0, sizeof(room)}, was, small = {room, 0, 2047},
            least = {room, 0, 2048}, odd = {room, 8, sizeof(room)},
            none = {room, SS_DISABLE, 5}, once = {room, 1u << 31, sizeof(room)};
    CALL(sigaltstack, NULL, &was);
    CALL(sigaltstack, &small, NULL);
    CALL(sigaltstack, &odd, NULL);
    CALL(sigaltstack, BAD, NULL);
    CALL(sigaltstack, &least, BAD);
    CALL(sigaltstack, &to, &was);
    IS(was.ss_size);
    on(SIGUSR1, where, SA_ONSTACK, 0);
    CALL(kill, self, SIGUSR1);
    on(SIGUSR1, where, 0, 0);
    CALL(kill, self, SIGUSR1);
    CALL(sigaltstack, &once, NULL);
    on(SIGUSR1, where, SA_ONSTACK, 0);
    CALL(kill, self, SIGUSR1);
    CALL(sigaltstack, NULL, &was);
    IS(was.ss_flags);
    CALL(sigaltstack, &none, NULL);
    CALL(sigaltstack, NULL, &was);
    IS(was.ss_size);
    CALL(kill, self, SIGUSR1);
    CALL(sigaltstack, &none, NULL);
}

/* --- What a handler changes of what it has interrupted --- */

HANDLER(edit)
{
    uint64_t mask;
    memcpy(&mask, &((ucontext_t *)context)->uc_sigmask, sizeof(mask));
    IS(mask);
    IS(((ucontext_t *)context)->uc_flags);
    mask = BIT(41) | BIT(SIGKILL);
    memcpy(&((ucontext_t *)context)->uc_sigmask, &mask, sizeof(mask));
    REGISTER(REG_RAX) = 42;
    REGISTER(REG_RBX) = 43;
}

static void edits(void)
{
    long rax = SYS_kill, rbx = 1;
    on(SIGUSR1, edit, 0, 0);
    block(BIT(40));
    asm volatile("syscall"
                 : "+a"(rax), "+b"(rbx)
                 : "D"((long)self), "S"((long)SIGUSR1)
                 : "rcx", "r11", "memory");
    IS(rax);
    IS(rbx);
    CALL(rt_sigprocmask, SIG_BLOCK, NULL, &old, ALL);
    block(0);
}

/* --- Mistakes --- */

static sigjmp_buf back;
static void *fault_at;
HANDLER(mistake)
{
    IS(number);
    IS(info->si_code);
    IS(info->si_errno);
    IS((char *)info->si_addr - (char *)fault_at);
    IS(REGISTER(REG_TRAPNO));
    IS(REGISTER(REG_ERR));
    siglongjmp(back, 1);
}

/* (what) goes wrong; the signal is to name (at), or with 0 nothing. */
#define FAULT(at, ...)                                                                 \
    do {                                                                               \
        fault_at = (void *)(at);                                                       \
        if (!sigsetjmp(back, 1)) {                                                     \
            __VA_ARGS__;                                                               \
        }                                                                              \
    } while (0)

static void mistakes(void)
{
    const int all[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS};
    const uint32_t control = 0x1f80 & ~(4u << 7);
    volatile int zero = 0;
    volatile double none = 0;
    uint8_t *page =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *wild = (void *)(1ul << 63 | 5);
    page[0] = 0xc3;
    for (int i = 0; i < 5; i++)
        on(all[i], mistake, 0, 0);
    FAULT(8, *(volatile int *)BAD);
    FAULT(8, *(volatile int *)BAD = 1);
    FAULT(16, ((void (*)(void))16)());
    mprotect(page, 4096, PROT_READ);
    FAULT(page + 5, page[5] = 1);
    FAULT(page, ((void (*)(void))page)());
    mprotect(page, 4096, PROT_NONE);
    FAULT(page + 9, *(volatile uint8_t *)(page + 9));
    munmap(page, 4096);
    FAULT(0, *(volatile int *)wild);
    FAULT(0, asm volatile(
                 "push %%rbp; mov %0, %%rbp; mov (%%rbp), %%rax; pop %%rbp" : : "r"(
                     wild) : "rax"));
    FAULT(0, asm volatile("hlt"));
    FAULT(&&ill, asm volatile(""); ill : asm volatile("ud2"));
    FAULT(0, asm volatile("int3"));
    FAULT(fault_at, zero = 1 / zero);
    FAULT(fault_at, asm volatile("ldmxcsr %0" : : "m"(control)); none = 1 / none);
    asm volatile("ldmxcsr %0" : : "m"((const uint32_t){0x1f80}));
}

HANDLER(skip)
{
    IS(info->si_code);
    REGISTER(REG_RIP) += 2;
}

static void skipping(void)
{
    on(SIGILL, skip, 0, 0);
    asm volatile("ud2");
    on(SIGTRAP, skip, 0, 0);
    asm volatile("int3; nop; nop");
}

/* --- Waits that end --- */

static int ends[2], word;
HANDLER(note)
{
    delivered++;
}
HANDLER(fill) /* once */
{
    if (!word)
        CALL(write, ends[1], "x", 1L);
    word = 1;
}

static void soon(void)
{
    CALL(setitimer, ITIMER_REAL, &(struct itimerval){{0}, {0, 3000}}, NULL);
}

/* Alarms end (call), however late it begins. */
#define ENDED(call) LAST_OF(often(3000), call, often(0))
static void often(int us)
{
    const struct itimerval timer = {{0, us}, {0, us}};
    CALL(setitimer, ITIMER_REAL, &timer, NULL);
}

static void waits(void)
{
    const struct timespec hour = {3600};
    struct timespec rest = {0};
    struct pollfd empty;
    struct epoll_event event = {EPOLLIN};
    fd_set reading;
    char byte;
    pipe(ends);
    empty = (struct pollfd){ends[0], POLLIN};
    on(SIGALRM, note, SA_RESTART, 0);
    delivered = 0;
    ENDED(CALL(pause));
    ENDED(CALL(nanosleep, &hour, &rest));
    IS(rest.tv_sec > 3000);
    ENDED(CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, &hour, &rest));
    ENDED(CALL(nanosleep, &hour, BAD));
    ENDED(CALL(poll, &empty, 1L, -1));
    FD_ZERO(&reading);
    FD_SET(ends[0], &reading);
    ENDED(CALL(select, ends[0] + 1, &reading, NULL, NULL, NULL));
    int epoll = epoll_create1(0);
    CALL(epoll_ctl, epoll, EPOLL_CTL_ADD, ends[0], &event);
    ENDED(CALL(epoll_wait, epoll, &event, 1, -1));
    IS(delivered > 0);
    block(BIT(SIGALRM));
    set = 0;
    soon(), CALL(rt_sigsuspend, &set, ALL);
    CALL(rt_sigprocmask, SIG_BLOCK, NULL, &old, ALL);
    CALL(rt_sigsuspend, &set, 4L);
    CALL(rt_sigsuspend, BAD, ALL);
    soon(), CALL(ppoll, &empty, 1L, NULL, &set, ALL);
    CALL(rt_sigprocmask, SIG_BLOCK, NULL, &old, ALL);
    block(0);
    IS(delivered > 0);
    on(SIGALRM, note, 0, 0);
    ENDED(CALL(read, ends[0], &byte, 1L));
    ENDED(CALL(futex, &word, FUTEX_WAIT, 0, NULL));
    on(SIGALRM, fill, SA_RESTART, 0);
    ENDED(CALL(read, ends[0], &byte, 1L));
    word = 0;
    ENDED(CALL(futex, &word, FUTEX_WAIT, 0, NULL));
}

static void alarms(void)
{
    struct itimerval now = {{2, 3}, {50, 0}}, was, bad = {{0, 1000000}, {1, 0}},
                     past = {{0}, {-1, 0}};
    CALL(alarm, 100);
    IS(CALL(alarm, 0) > 50);
    IS(CALL(alarm, 0));
    CALL(setitimer, ITIMER_REAL, &now, NULL);
    CALL(getitimer, ITIMER_REAL, &was);
    IS(was.it_interval.tv_sec);
    IS(was.it_interval.tv_usec);
    IS(was.it_value.tv_sec > 5);
    CALL(setitimer, ITIMER_REAL, NULL, &was);
    IS(was.it_interval.tv_sec);
    CALL(getitimer, ITIMER_REAL, &was);
    IS(was.it_value.tv_sec + was.it_value.tv_usec + was.it_interval.tv_sec);
    CALL(setitimer, ITIMER_REAL, &bad, NULL);
    CALL(setitimer, ITIMER_REAL, &past, NULL);
    CALL(setitimer, ITIMER_REAL, BAD, NULL);
    CALL(setitimer, ITIMER_REAL, &now, BAD);
    CALL(alarm, 0);
    CALL(setitimer, 3, &now, NULL);
    CALL(getitimer, 3, &was);
    CALL(getitimer, -1, &was);
    CALL(getitimer, ITIMER_REAL, BAD);
}

int main(void)
{
    self = getpid();
    user = getuid();
    begin();
    actions();
    masks();
    sending();
    pending();
    taking();
    nesting();
    stacks();
    edits();
    mistakes();
    skipping();
    waits();
    alarms();
    return 0;
}
