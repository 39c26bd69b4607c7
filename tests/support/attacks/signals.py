"""Attacks with signals: forged frames, stacks that are none, storms."""

from support.hostile import FINE, TIME

ATTACKS = r"""
#include <stddef.h>
static sigjmp_buf back;
static volatile long count;
static char alternative[65536] __attribute__((aligned(64)));
static void on(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigaction(signal, &a, 0);
}
static void use_stack(void)
{
    const stack_t s = {.ss_sp = alternative, .ss_size = sizeof alternative};
    sigaltstack(&s, 0);
}
/* --- Frames --- */

static void escape(int signal, siginfo_t *info, void *context)
{
    asm volatile("cld; pushfq; andl $~0x40100, (%%rsp); popfq" ::: "cc");
    siglongjmp(back, signal);
}
/* What faults comes back to where sigsetjmp was; SIGUSR1 forges its own frame. */
static void catch_all(void (*forge)(int, siginfo_t *, void *))
{
    const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    use_stack();
    for (int i = 0; i < LENGTH(faults); i++)
        on(faults[i], escape, SA_ONSTACK | SA_NODEFER);
    on(SIGUSR1, forge, SA_NODEFER);
}
static int forged(void) /* the signal that it has ended with, 0: none */
{
    const int signal = sigsetjmp(back, 1);
    if (!signal)
        syscall(SYS_tgkill, 1, syscall(SYS_gettid), SIGUSR1);
    asm volatile("cld" ::: "cc");
    return signal;
}
static long what, value;
static void change_register(int signal, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[what] = value;
}
static const long addresses[] = {0, 8, 0x1000, 0x4000, 0x5ffe, 0x8ff8, 0x9000, 0x80000,
                                 ROOF - 1, ROOF - 4096, ROOF, 1l << 63, -1, -4096};
static void wild_frames(void)
{
    const int registers[] = {REG_RIP, REG_RSP};
    catch_all(change_register);
    for (int i = 0; i < LENGTH(registers); i++)
        for (int j = 0; j < LENGTH(addresses); j++) {
            what = registers[i];
            value = addresses[j];
            EXPECT(forged() == SIGSEGV || value == 0x80000 || what == REG_RSP);
        }
}
static void change_selectors(int signal, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    u->uc_mcontext.gregs[REG_CSGSFS] = value;
    if (!what)
        u->uc_flags &= ~4; /* SS need not be what it was */
}
static void selectors(void)
{
    unsigned short cs, ss;
    catch_all(change_selectors);
    for (what = 0; what < 2; what++)
        for (long n = 0; n < 0x60; n++) {
            value = n | (n ^ 0x18) << 48;
            forged();
            value = 0x33 | n << 48 | n << 16 | n << 32;
            forged();
            asm volatile("mov %%cs, %0; mov %%ss, %1" : "=r"(cs), "=r"(ss));
            EXPECT((cs & 3) == 3 && (ss & 3) == 3);
        }
}
/* No frame gives a program a flag that it could not set itself. */
static volatile long seen;
static void change_flags(int signal, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    u->uc_mcontext.gregs[REG_EFL] = value;
}
static void all_flags(void)
{
    catch_all(change_flags);
    for (int bit = 0; bit < 64; bit++) {
        long flags = 0;
        value = 1ul << bit | 2;
        if (!sigsetjmp(back, 1))
            asm volatile("sub $128, %%rsp; syscall; pushfq; pop %0; push $2; popfq;"
                "add $128, %%rsp"
                : "=r"(flags)
                : "a"(234l), "D"(1l), "S"(syscall(SYS_gettid)), "d"(SIGUSR1)
                : "rcx", "r11", "memory", "cc");
        EXPECT(!(flags & 0x1a7000)); /* IOPL, NT, VM, VIF, VIP */
    }
}

/* The image of the vectors in a frame: a word of it is (value). */
static int at_word;
static struct { long at, size; } const odd_sizes[] = {
    {464, 0}, {468, 0}, {468, 1}, {468, 1l << 31}, {468, -1}, {480, 0}, {480, 575},
    {480, 576}, {480, 4096}, {480, 1l << 31}, {480, -1}};
static void change_vectors(int signal, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    char *image = (char *)u->uc_mcontext.fpregs;
    memcpy(image + at_word, &value, at_word < 500 ? 4 : 8);
}
static void vectors(void)
{
    unsigned control;
    catch_all(change_vectors);
    for (int bit = 0; bit < 64; bit++) {
        value = 1ul << bit;
        for (at_word = 512; at_word < 576; at_word += 8) /* its header */
            forged();
        at_word = 24;
        value = 0x1f80 | 1ul << bit % 32;
        const int signal = forged();
        EXPECT(signal == (bit % 32 < 16 ? 0 : SIGSEGV));
        asm volatile("stmxcsr %0" : "=m"(control));
        EXPECT(control < 0x10000);
        asm volatile("ldmxcsr %0" :: "m"((int){0x1f80}));
    }
    for (int i = 0; i < LENGTH(odd_sizes); i++) {
        at_word = odd_sizes[i].at;
        value = odd_sizes[i].size;
        forged();
    }
}
static char *end;
static void change_place(int signal, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    char *image = (char *)u->uc_mcontext.fpregs;
    if (value >= 0 && value < 64)
        memcpy(image + 1, image, 0), u->uc_mcontext.fpregs = (void *)(image + value);
    else
        u->uc_mcontext.fpregs = (void *)value;
}
static void vector_places(void)
{
    catch_all(change_place);
    end = last_page();
    memset(end, 255, 4096);
    for (value = 0; value < 64; value++)
        EXPECT(forged() == (value ? SIGSEGV : 0));
    const long at[] = {64, 0x4000, 0x7000, ROOF, ROOF - 64, -64, 1l << 63,
                       (long)end + 4096 - 64, (long)end + 4096 - 512, (long)end + 3456};
    for (int i = 0; i < LENGTH(at); i++) {
        value = at[i];
        forged();
    }
}
static void change_bytes(int signal, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    unsigned char *frame = context;
    const stack_t stack = u->uc_stack;
    for (int i = 0; i < 3; i++)
        frame[rand() % sizeof(*u)] = rand();
    u->uc_stack = stack; /* or what is no frame could not be told */
    sigemptyset(&u->uc_sigmask);
    u->uc_mcontext.gregs[REG_RIP] &= ~0xffffl; /* not into some code of this program */
    u->uc_mcontext.gregs[REG_RIP] |= 1l << 62;
}
static void random_frames(void)
{
    srand(11);
    catch_all(change_bytes);
    for (int i = 0; i < MANY / 8; i++)
        EXPECT(forged() == SIGSEGV);
}
static void no_frame(void)
{
    const long at[] = {0, 8, 0x4000, 0x8ff8, ROOF - 8, ROOF, -8, -1, 1l << 63,
                       (long)last_page() + 4096 - 400};
    catch_all(escape);
    for (int i = 0; i < LENGTH(at); i++)
        if (sigsetjmp(back, 1) == 0)
            asm volatile("mov %0, %%rsp; syscall; hlt" :: "r"(at[i]), "a"(15l));
}

/* --- Stacks --- */

static void ignore(int signal, siginfo_t *info, void *context) { count++; }
static void odd_stacks(void)
{
    const stack_t odd[] = {
        {BAD, 0, 65536}, {HIGH, 0, 65536}, {KERNEL, 0, 65536}, {(void *)-1l, 0, -1},
        {(void *)ROOF, 0, 65536}, {(void *)(1l << 63), 0, 1l << 62},
        {last_page() + 4096, 0, 65536}};
    on(SIGUSR1, ignore, SA_ONSTACK);
    for (int i = 0; i < LENGTH(odd); i++) {
        on(SIGSEGV, escape, SA_NODEFER); /* which runs on the stack of this function */
        EXPECT(sigaltstack(&odd[i], 0) == 0);
        if (sigsetjmp(back, 1) == 0)
            raise(SIGUSR1);
    }
    EXPECT(raw(sigaltstack, BAD, 0) == -EFAULT);
    EXPECT(raw(sigaltstack, 0, KERNEL) == -EFAULT);
    EXPECT(raw(sigaltstack, &(stack_t){alternative, 0, 2047}, 0) == -ENOMEM);
    EXPECT(raw(sigaltstack, &(stack_t){alternative, 1 << 5, 65536}, 0) == -EINVAL);
    EXPECT(count == 0);
    EXPECT(raw(sigaltstack, &(stack_t){(void *)1, 0, -1}, 0) == 0); /* all there is */
    EXPECT(raw(sigaltstack, &(stack_t){0, SS_DISABLE}, 0) == -EPERM);
    raise(SIGUSR1);
    EXPECT(count == 1);
}
static void no_stack(void)
{
    on(SIGUSR1, ignore, SA_ONSTACK);
    sigaltstack(&(stack_t){HIGH, 0, 65536}, 0);
    raise(SIGUSR1);
}
static void fault_again(int signal, siginfo_t *info, void *context)
{
    *(volatile int *)BAD = 1;
}
static void faulting_handler(void)
{
    on(SIGSEGV, fault_again, 0);
    fault_again(0, 0, 0);
}
static void recursing_handler(void)
{
    on(SIGSEGV, fault_again, SA_NODEFER);
    fault_again(0, 0, 0);
}
static void recursing_on_its_stack(void)
{
    use_stack();
    on(SIGSEGV, fault_again, SA_NODEFER | SA_ONSTACK);
    fault_again(0, 0, 0);
}
static void deep(int signal, siginfo_t *info, void *context)
{
    volatile char room[4096];
    room[0] = 1;
    deep(signal, info, context);
    room[1] = 1;
}
static void handler_without_end(void)
{
    use_stack();
    on(SIGUSR1, deep, SA_ONSTACK);
    raise(SIGUSR1);
}
static void odd_handlers(void)
{
    struct { void *handler; long flags; void *restorer; long mask; } a = {0};
    catch_all(escape);
    for (int i = 2; i < LENGTH(addresses); i++)
        for (int j = 0; j < 2; j++) {
            a.handler = (void *)(j ? (long)ignore : addresses[i]);
            a.restorer = (void *)addresses[i];
            a.flags = 0x04000000 | SA_SIGINFO | SA_NODEFER;
            EXPECT(raw(rt_sigaction, SIGUSR2, &a, 0, 8) == 0);
            if (sigsetjmp(back, 1) == 0)
                raise(SIGUSR2);
        }
    EXPECT(raw(rt_sigaction, SIGUSR2, KERNEL, 0, 8) == -EFAULT);
    EXPECT(raw(rt_sigaction, SIGUSR2, 0, HIGH, 8) == -EFAULT);
    EXPECT(raw(rt_sigaction, 65, 0, &a, 8) == -EINVAL);
    EXPECT(raw(rt_sigaction, SIGKILL, &a, 0, 8) == -EINVAL);
    signal(SIGUSR2, SIG_DFL);
}

/* --- Many --- */

static void often(void)
{
    const struct itimerval time = {{0, 2000}, {0, 1}};
    on(SIGALRM, ignore, 0);
    setitimer(ITIMER_REAL, &time, 0);
    while (count < 10)
        syscall(SYS_getppid);
    EXPECT(setitimer(ITIMER_REAL, &(struct itimerval){0}, 0) == 0);
    signal(SIGALRM, SIG_IGN); /* another thread may have one that is on its way */
}
/* The way back from the handler is time enough for the next one. */
static void storm(void)
{
    const struct itimerval time = {{0, 1}, {0, 1}};
    on(SIGALRM, ignore, 0);
    setitimer(ITIMER_REAL, &time, 0);
    for (;;)
        syscall(SYS_getppid);
}
static void ignored_storm(void)
{
    const struct itimerval often = {{0, 1}, {0, 1}};
    signal(SIGALRM, SIG_IGN);
    setitimer(ITIMER_REAL, &often, 0);
    for (;;)
        pause();
}
static void nested_storm(void)
{
    const struct itimerval often = {{0, 1}, {0, 1}};
    struct sigaction a = {.sa_handler = (void *)getppid, .sa_flags = SA_NODEFER};
    sigaction(SIGALRM, &a, 0);
    setitimer(ITIMER_REAL, &often, 0);
    while (!never)
        syscall(SYS_getppid);
}
/* More are sent than anybody keeps. What is kept comes, all at once. */
static void queues(void)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    long kept = 0, tid = syscall(SYS_gettid);
    for (int i = 0; i < MANY; i++) {
        siginfo_t info = {.si_code = i % 2 ? SI_QUEUE : SI_USER};
        const int signal = 1 + i % 64;
        if (signal == SIGKILL || signal == SIGSTOP || signal == 32 || signal == 33)
            continue; /* two are the library's own */
        on(signal, ignore, SA_RESTART);
        kept += raw(rt_sigqueueinfo, 1, signal, &info) == 0;
        kept += raw(rt_tgsigqueueinfo, 1, tid, signal, &info) == 0;
    }
    EXPECT(kept > 64);
    count = 0;
    sigprocmask(SIG_UNBLOCK, &all, 0);
    EXPECT(count >= 40 && count <= 2 * (64 + 16));
    for (int signal = 1; signal < 65; signal++)
        raw(rt_sigaction, signal, &(long[4]){1}, 0, 8); /* ignored: also what waits */
    sigprocmask(SIG_SETMASK, &before, 0);
}
static void odd_waits(void)
{
    siginfo_t info;
    const struct timespec none = {0}, bad = {0, -1};
    long set = -1l;
    sigprocmask(SIG_BLOCK, (void *)&set, 0);
    EXPECT(raw(rt_sigtimedwait, BAD, &info, &none, 8) == -EFAULT);
    EXPECT(raw(rt_sigtimedwait, &set, &info, KERNEL, 8) == -EFAULT);
    EXPECT(raw(rt_sigtimedwait, &set, &info, &bad, 8) == -EINVAL);
    EXPECT(raw(rt_sigtimedwait, &set, &info, &none, 8) == -EAGAIN);
    EXPECT(raw(rt_sigtimedwait, &set, &info, &none, 1l << 32) == -EINVAL);
    raise(SIGUSR1);
    EXPECT(raw(rt_sigtimedwait, &set, HIGH, &none, 8) == -EFAULT);
    EXPECT(raw(rt_sigsuspend, KERNEL, 8) == -EFAULT);
    EXPECT(raw(rt_sigprocmask, 3, &set, 0, 8) == -EINVAL);
    EXPECT(raw(rt_sigprocmask, 0, &set, KERNEL, 8) == -EFAULT);
    EXPECT(raw(rt_sigpending, KERNEL, 8) == -EFAULT);
    EXPECT(raw(tgkill, 1, 1, 65) == -EINVAL && raw(tkill, 1l << 31, 1) == -EINVAL);
    EXPECT(raw(kill, 1, -1) == -EINVAL && raw(kill, -1, 1) == -ESRCH);
    EXPECT(raw(rt_sigqueueinfo, 1, SIGUSR1, HIGH) == -EFAULT);
    const struct itimerval wrong_time = {{0, -1}, {-1, 0}}, late = {{-1ul >> 1, 999999},
                                                                 {-1ul >> 1, 999999}};
    EXPECT(raw(setitimer, 0, &wrong_time, 0) == -EINVAL);
    EXPECT(raw(setitimer, 0, &late, KERNEL) == -EFAULT);
    EXPECT(raw(setitimer, 0, &late, 0) == 0 && raw(alarm, -1) > 0 && raw(alarm, 0) > 0);
    sigprocmask(SIG_UNBLOCK, (void *)&set, 0);
}

/* --- The end --- */

static void kills(void) { kill(1, SIGKILL); }
static void kills_thread(void) { syscall(SYS_tkill, syscall(SYS_gettid), SIGKILL); }
static void stops(void) { raise(SIGSTOP); }
static void real_time(void) { raise(SIGRTMAX); }
static void blocked_fault(void)
{
    sigset_t all;
    sigfillset(&all);
    on(SIGSEGV, escape, 0);
    sigprocmask(SIG_BLOCK, &all, 0);
    fault_again(0, 0, 0);
}
static void returns_from_nothing(void)
{
    signal(SIGSEGV, SIG_DFL);
    asm volatile("xor %%esp, %%esp; syscall; hlt" :: "a"(15l));
}
static void to_trampoline(int signal, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = 0x6000;
}
static void frame_to_the_trampoline(void)
{
    on(SIGUSR1, to_trampoline, 0);
    raise(SIGUSR1);
}
"""

WAYS = {
    "wild_frames": FINE,
    "selectors": FINE,
    "all_flags": FINE,
    "vectors": FINE,
    "vector_places": FINE,
    "random_frames": FINE,
    "no_frame": FINE,
    "odd_stacks": FINE,
    "odd_handlers": FINE,
    "often": FINE,
    "storm": TIME,
    "queues": FINE,
    "odd_waits": FINE,
    "ignored_storm": TIME,
    "nested_storm": "no stack for the handler|page fault|max_request_memory",
    "no_stack": "no stack for the handler",
    "faulting_handler": "page fault writing 0x8 ",
    "recursing_handler": "page fault writing 0x8 |max_request_memory",
    "recursing_on_its_stack": "page fault writing 0x8 ",
    "handler_without_end": "page fault",
    "kills": r"ended itself with signal 9 \(SIGKILL\)",
    "kills_thread": r"ended itself with signal 9 \(SIGKILL\)",
    "stops": r"stopped itself with signal 19 \(SIGSTOP\)",
    "real_time": "ended itself with signal 64 ",
    "blocked_fault": "page fault writing 0x8 ",
    "returns_from_nothing": "rt_sigreturn: what is on the stack is no frame",
    "frame_to_the_trampoline": "fault|illegal instruction|made the trampoline's call",
}
