"""Signals as Linux has them: one program tries them all, on this Linux and in a guest,
and finds the same."""

import re

import pytest
from support.guests import compile_guest
from support.oracle import MAIN, SHOW, differing, on_linux, results

pytestmark = pytest.mark.core

HEAD = (
    SHOW
    + r"""
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/ucontext.h>
#include <time.h>

#define PAGE 4096ul
#define BIT(n) (1ul << ((n) - 1))
#define REG(name) (((ucontext_t *)context)->uc_mcontext.gregs[REG_##name])

static void on(int signal, void *handler, int flags, unsigned long mask)
{
    struct sigaction action = {.sa_flags = flags | SA_SIGINFO};
    action.sa_sigaction = handler;
    memcpy(&action.sa_mask, &mask, 8);
    sigaction(signal, &action, 0);
}
static unsigned long mask_now(void)
{
    unsigned long mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8);
    return mask;
}
static void set_mask(unsigned long mask)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8);
}
static void send(int signal) { syscall(SYS_tgkill, getpid(), gettid(), signal); }
#define HANDLER(name) static void name(int number, siginfo_t *info, void *context)
"""
)

PROGRAM = (
    HEAD
    + r"""
static int order[64], orders;
static stack_t at_entry;
static int on_stack(void)
{
    stack_t now;
    sigaltstack(0, &now);
    return now.ss_flags;
}

HANDLER(tell)
{
    const ucontext_t *c = context;
    IS(number);
    IS(info->si_signo == number);
    IS(info->si_errno);
    IS(info->si_code);
    IS(info->si_pid == getpid());
    IS(info->si_value.sival_int);
    IS(mask_now());
    IS(*(unsigned long *)&c->uc_sigmask);
    IS(c->uc_flags & 6);
    IS(c->uc_link == 0);
    IS(c->uc_stack.ss_flags);
    IS(c->uc_stack.ss_size);
    IS(((unsigned long)__builtin_frame_address(0) & 15) == 0);
    IS(((unsigned long)context & 15) == 0);
    IS((char *)context - (char *)info < 0);
    IS((char *)info - (char *)context);
    IS((unsigned long)c->uc_mcontext.fpregs & 63);
    IS((char *)c->uc_mcontext.fpregs > (char *)info);
    IS(((unsigned *)c->uc_mcontext.fpregs)[116] == 0x46505853);
    IS(on_stack());
    order[orders++] = number;
}

HANDLER(note) { order[orders++] = number; }
HANDLER(nest)
{
    order[orders++] = number;
    if (number == SIGUSR1) {
        send(SIGUSR2);
        order[orders++] = -number;
    }
}
HANDLER(again)
{
    order[orders++] = number;
    if (orders < 3)
        send(number);
    order[orders++] = -number;
}
static void show_order(void)
{
    for (int i = 0; i < orders; i++)
        show("order", order[i] < 0 ? 1000 - order[i] : order[i]);
    orders = 0;
}

static void sending(void)
{
    union sigval value = {.sival_int = 77};
    siginfo_t own = {.si_code = -60, .si_errno = 9};
    on(SIGUSR1, tell, 0, 0);
    TRY(kill, getpid(), SIGUSR1);
    TRY(kill, 0, 0);
    TRY(tkill, gettid(), SIGUSR1);
    TRY(tgkill, getpid(), gettid(), SIGUSR1);
    IS(sigqueue(getpid(), SIGUSR1, value));
    own.si_value = value;
    TRY(rt_sigqueueinfo, getpid(), SIGUSR1, &own);
    TRY(rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &own);
    TRY(rt_sigqueueinfo, getpid(), SIGUSR1, BAD);
    TRY(rt_sigqueueinfo, getpid(), 65, &own);
    TRY(rt_sigqueueinfo, getpid(), 0, &own);
    TRY(rt_tgsigqueueinfo, -1, gettid(), SIGUSR1, &own);
    TRY(rt_tgsigqueueinfo, getpid(), 99999999, SIGUSR1, &own);
    TRY(tkill, 0, SIGUSR1);
    TRY(tkill, 99999999, SIGUSR1);
    show_order();
}

static void flags(void)
{
    struct sigaction now;
    struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; }
        raw = {SIG_IGN, -1ul, 0, -1ul}, was;
    TRY(rt_sigaction, SIGUSR1, &raw, 0, 8);
    TRY(rt_sigaction, SIGUSR1, 0, &was, 8);
    IS(was.flags);
    IS(was.mask);
    on(SIGUSR1, tell, 0, BIT(SIGUSR2) | BIT(SIGKILL));
    send(SIGUSR1);
    on(SIGUSR1, tell, SA_NODEFER, BIT(SIGHUP));
    send(SIGUSR1);
    on(SIGUSR1, tell, SA_RESETHAND, 0);
    send(SIGUSR1);
    sigaction(SIGUSR1, 0, &now);
    IS(now.sa_handler == SIG_DFL);
    IS(mask_now());
    show_order();
    on(SIGUSR1, nest, 0, 0);
    on(SIGUSR2, nest, 0, 0);
    send(SIGUSR1);
    show_order();
    on(SIGUSR1, nest, 0, BIT(SIGUSR2));
    send(SIGUSR1);
    show_order();
    on(SIGUSR1, again, 0, 0);
    send(SIGUSR1);
    show_order();
    on(SIGUSR1, again, SA_NODEFER, 0);
    send(SIGUSR1);
    show_order();
}

static void blocking(void)
{
    unsigned long set = 0;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (int i = 1; i < 65; i++)
        if (i < 32 || i > 33)
            on(i, note, 0, 0);
    set_mask(-1ul);
    IS(mask_now() == (-1ul & ~(BIT(SIGKILL) | BIT(SIGSTOP))));
    send(SIGUSR2);
    send(SIGUSR1);
    send(SIGUSR1);
    send(SIGSEGV);
    send(SIGRTMIN + 3);
    send(SIGRTMIN + 3);
    send(SIGRTMIN + 1);
    send(SIGHUP);
    TRY(rt_sigpending, &set, 8);
    IS(set == (BIT(SIGUSR1) | BIT(SIGUSR2) | BIT(SIGSEGV) | BIT(SIGRTMIN + 3) |
               BIT(SIGRTMIN + 1) | BIT(SIGHUP)));
    TRY(rt_sigpending, &set, 9);
    TRY(rt_sigpending, &set, 0);
    TRY(rt_sigpending, BAD, 8);
    sigaction(SIGUSR2, &ignore, 0);
    TRY(rt_sigpending, &set, 8);
    IS(set & BIT(SIGUSR2));
    send(SIGUSR2);
    TRY(rt_sigpending, &set, 8);
    IS((set & BIT(SIGUSR2)) != 0);
    set_mask(~BIT(SIGHUP));
    show_order();
    set_mask(0);
    show_order();
    TRY(rt_sigpending, &set, 8);
    IS(set);
}

static char room[65536] __attribute__((aligned(64)));
HANDLER(on_alt)
{
    stack_t none = {.ss_flags = SS_DISABLE}, now;
    IS((char *)context > room && (char *)context < room + sizeof room);
    IS(result(sigaltstack(&none, 0)));
    IS(result(sigaltstack(0, &now)));
    IS(now.ss_flags);
    IS(now.ss_sp == room);
    IS(((ucontext_t *)context)->uc_stack.ss_flags);
    IS(((ucontext_t *)context)->uc_stack.ss_size);
    order[orders++] = number;
    if (number == SIGUSR1)
        send(SIGUSR2);
}
static void stacks(void)
{
    stack_t stack = {room, 0, sizeof room}, now;
    stack_t least = {room, 0, 2047}, self = {room, 1u << 31, sizeof room};
    IS(result(sigaltstack(0, &now)));
    IS(now.ss_flags);
    on(SIGUSR1, on_alt, SA_ONSTACK, 0);
    on(SIGUSR2, on_alt, SA_ONSTACK, 0);
    send(SIGUSR1);
    IS(result(sigaltstack(&stack, 0)));
    send(SIGUSR1);
    on(SIGUSR2, on_alt, 0, 0);
    send(SIGUSR1);
    send(SIGUSR2);
    IS(result(sigaltstack(0, &now)));
    IS(now.ss_flags);
    TRY(sigaltstack, &least, 0);
    IS(result(sigaltstack(&self, &now)));
    IS(now.ss_flags);
    on(SIGUSR2, on_alt, SA_ONSTACK, 0);
    send(SIGUSR1);
    IS(result(sigaltstack(0, &now)));
    IS(now.ss_flags);
    IS(now.ss_sp == room);
    stack.ss_flags = SS_DISABLE;
    IS(result(sigaltstack(&stack, &now)));
    IS(result(sigaltstack(0, &now)));
    IS(now.ss_flags);
    IS(now.ss_size);
    show_order();
}

static sigjmp_buf back;
static char *fault_at, *wanted_at;
HANDLER(fault)
{
    IS(number);
    IS(info->si_code);
    IS((char *)info->si_addr == wanted_at);
    IS((char *)info->si_addr == (char *)REG(RIP));
    IS(REG(TRAPNO));
    IS(REG(ERR));
    IS(number != SIGSEGV || info->si_code == 128 || REG(CR2) == (long)wanted_at);
    siglongjmp(back, 1);
}
#define FAULT(code, at) do { \
        show(#code, 0); wanted_at = (char *)(at); \
        if (sigsetjmp(back, 1) == 0) { code; show("no fault", 0); } \
    } while (0)
static char *nowhere;
static volatile int zero;
static char *none;
__attribute__((constructor)) static void make_none(void)
{
    none = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void exceptions(void)
{
    for (int i = 1; i < 32; i++)
        if (i != SIGKILL && i != SIGSTOP)
            on(i, fault, 0, 0);
    FAULT(*(volatile char *)nowhere, 0);
    FAULT(*(volatile char *)nowhere = 1, 0);
    FAULT(*(volatile char *)(nowhere + 0x1234), 0x1234);
    FAULT(*(volatile char *)(nowhere + 0x4000) = 1, 0x4000);
    FAULT(((void (*)(void))nowhere)(), 0);
    FAULT(*(volatile char *)0xffff800000000000ul, 0xffff800000000000ul);
    FAULT(*(volatile char *)0x8000000000000000ul, 0);
    FAULT(*(volatile char *)"constant" = 1, "constant");
    FAULT(((void (*)(void))room)(), room);
    FAULT(*(volatile char *)none, none);
    FAULT(((volatile char *)none)[5] = 1, none + 5);
    FAULT(zero = 1000 / zero, 0);
    FAULT(asm volatile("ud2"), 0);
    FAULT(asm volatile("int3"), 0);
    FAULT(asm volatile("hlt"), 0);
    FAULT(asm volatile("mov %%rax, %%cr3" : : "a"(0)), 0);
    FAULT(asm volatile("push $0x1000; ldmxcsr (%%rsp); pop %%rax;"
        "xorps %%xmm0, %%xmm0; divss %%xmm0, %%xmm0; push $0x1f80; ldmxcsr (%%rsp);"
        "pop %%rax" : : : "rax", "xmm0"), 0);
    asm volatile("push $0x1f80; ldmxcsr (%%rsp); pop %%rax" : : : "rax");
    FAULT(asm volatile("sub $8, %%rsp; movw $0x37b, (%%rsp); fldcw (%%rsp);"
        "fldz; fld1; fdivp; fwait; add $8, %%rsp" : : : "st"), 0);
    asm volatile("fnclex; fninit");
    FAULT(asm volatile("mov $1, %%eax; push %%rbp; mov %%rsp, %%rbp; pushf;"
        "orl $0x40000, (%%rsp); popf; mov 1(%%rsp), %%rcx; pushf;"
        "andl $~0x40000, (%%rsp); popf; pop %%rbp" : : : "rax", "rcx"), 0);
    asm volatile("pushf; andl $~0x40000, (%rsp); popf");
    IS(mask_now());
}

static long steps;
HANDLER(stepped) { steps++; }
HANDLER(skip) { REG(RIP) += 2; REG(RAX) = 77; }
HANDLER(divide) { REG(RCX) = 7; }
#define SEND(signal) \
    "mov $200, %%eax; mov %k1, %%edi; mov $" #signal ", %%esi; syscall;"
HANDLER(clobber)
{
    asm volatile("pxor %%xmm0, %%xmm0; pxor %%xmm9, %%xmm9" : : : "xmm0", "xmm9");
    if (__builtin_cpu_supports("avx"))
        asm volatile("vzeroall" : : : "memory");
    if (__builtin_cpu_supports("avx512f"))
        asm volatile("vpxorq %%zmm30, %%zmm30, %%zmm30; kxorw %%k3, %%k3, %%k3"
                     : : : "memory");
    asm volatile("fninit" : : : "st");
}
static char seen[4][64] __attribute__((aligned(64)));
static void all_registers(void)
{
    long other = gettid();
    long k3 = 0x5a5a;
    on(SIGUSR1, clobber, 0, 0);
    memset(seen, 0, sizeof seen);
    memset(seen[0], 0x5a, 64);
    if (__builtin_cpu_supports("avx512f"))
        asm volatile("vmovdqu64 %3, %%zmm30; kmovw %k2, %%k3;" SEND(10)
                     "vmovdqu64 %%zmm30, %0; kmovw %%k3, %k2; vzeroupper"
                     : "=m"(seen[1]), "+r"(other), "+r"(k3) : "m"(seen[0])
                     : "rax", "rdi", "rsi", "rcx", "r11", "memory");
    else
        memcpy(seen[1], seen[0], 64);
    if (__builtin_cpu_supports("avx"))
        asm volatile("vmovdqu %2, %%ymm9;" SEND(10) "vmovdqu %%ymm9, %0; vzeroupper"
                     : "=m"(seen[2]), "+r"(other) : "m"(seen[0])
                     : "rax", "rdi", "rsi", "rcx", "r11", "memory");
    else
        memcpy(seen[2], seen[0], 32);
    double pi;
    asm volatile("fldpi;" SEND(10) "fstpl %0" : "=m"(pi), "+r"(other) :
                 : "rax", "rdi", "rsi", "rcx", "r11", "memory");
    IS(k3 == 0x5a5a);
    IS(memcmp(seen[1], seen[0], 64));
    IS(memcmp(seen[2], seen[0], 32));
    IS(pi > 3.14 && pi < 3.15);
}
HANDLER(vectors)
{
    struct _libc_fpstate *fpu = ((ucontext_t *)context)->uc_mcontext.fpregs;
    asm volatile("pcmpeqd %%xmm5, %%xmm5; fninit; fldpi" : : : "xmm5");
    IS(fpu->_xmm[5].element[0]);
    IS(fpu->mxcsr);
    IS(fpu->cwd);
    fpu->_xmm[5].element[0] = 4242;
    fpu->_xmm[15].element[3] = 15;
    fpu->mxcsr = 0x5f80;
    unsigned mxcsr;
    asm("stmxcsr %0" : "=m"(mxcsr));
    IS(mxcsr);
}
HANDLER(no_vectors) { ((ucontext_t *)context)->uc_mcontext.fpregs = 0; }
HANDLER(masks)
{
    unsigned long *mask = (unsigned long *)&((ucontext_t *)context)->uc_sigmask;
    IS(*mask);
    *mask = -1ul;
}
HANDLER(carry) { REG(EFL) ^= 0x8d5 | 0x400 | 0x3000 | 0x4000 | 0x200 | 0x20000; }
static void edits(void)
{
    long value = 0, other = gettid();
    on(SIGILL, skip, 0, 0);
    asm volatile("ud2" : "=a"(value) : : "memory");
    IS(value);
    on(SIGFPE, divide, 0, 0);
    asm volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; mov $42, %%eax; div %%rcx"
                 : "=a"(value) : : "rcx", "rdx");
    IS(value);
    on(SIGUSR1, vectors, 0, 0);
    int element = 0, last = 0, mxcsr = 0;
    asm volatile("mov $1111, %%eax; movd %%eax, %%xmm5;" SEND(10)
                 "movd %%xmm5, %0; pshufd $3, %%xmm15, %%xmm15; movd %%xmm15, %2;"
                 "stmxcsr %3; push $0x1f80; ldmxcsr (%%rsp); pop %%rax"
                 : "=&b"(element), "+r"(other), "=&r"(last), "=m"(mxcsr)
                 : : "rax", "rdi", "rsi", "rcx", "r11", "xmm5", "xmm15", "memory");
    IS(element);
    IS(last);
    IS(mxcsr);
    on(SIGUSR1, no_vectors, 0, 0);
    asm volatile("mov $1111, %%eax; movd %%eax, %%xmm5;" SEND(10) "movd %%xmm5, %0"
                 : "=&b"(element), "+r"(other)
                 : : "rax", "rdi", "rsi", "rcx", "r11", "xmm5", "memory");
    IS(element);
    on(SIGUSR1, masks, 0, 0);
    send(SIGUSR1);
    IS(mask_now());
    set_mask(0);
    on(SIGUSR1, carry, 0, 0);
    asm volatile(SEND(10) "pushf; pop %0; cld"
                 : "=&b"(value), "+r"(other)
                 : : "rax", "rdi", "rsi", "rcx", "r11", "memory", "cc");
    IS(value & 0x3f7d00);
    on(SIGTRAP, stepped, 0, 0);
    asm volatile("pushf; orl $0x100, (%rsp); popf; nop; nop; pushf;"
                 "andl $~0x100, (%rsp); popf");
    IS(steps);
}

static volatile long counter;
HANDLER(count) { counter++; }
/* Its alarm comes again and again: however late a wait begins, it ends. */
static void waiting(void)
{
    struct timespec second = {1000, 0}, left = {0, 0}, none = {0, 0};
    struct timespec soon = {0, 2000000};
    struct itimerval timer = {{0, 20000}, {0, 20000}}, was = {{0, 0}, {0, 0}};
    struct itimerval wrong = {{0, 0}, {0, 1000000}};
    unsigned long set = 0, alarm_only = BIT(SIGALRM);
    siginfo_t info;
    on(SIGALRM, count, 0, 0);
    TRY(setitimer, ITIMER_REAL, &timer, 0);
    TRY(nanosleep, &second, &left);
    IS(left.tv_sec > 0 && left.tv_sec < 1000 && left.tv_nsec > 0);
    TRY(clock_nanosleep, CLOCK_MONOTONIC, 0, &second, 0);
    on(SIGALRM, count, SA_RESTART, 0);
    TRY(pause);
    TRY(nanosleep, &second, BAD);
    TRY(rt_sigsuspend, &set, 8);
    TRY(rt_sigsuspend, &set, 4);
    TRY(rt_sigsuspend, BAD, 8);
    IS(counter > 4);
    set_mask(alarm_only);
    TRY(rt_sigtimedwait, &alarm_only, &info, 0, 8);
    TRY(rt_sigtimedwait, &alarm_only, &info, 0, 8);
    IS(info.si_signo);
    IS(info.si_code);
    timer.it_interval.tv_usec = 1000;
    IS(setitimer(ITIMER_REAL, 0, &was));
    IS(was.it_interval.tv_usec);
    syscall(SYS_rt_sigtimedwait, &alarm_only, &info, &none, 8);
    TRY(rt_sigtimedwait, &alarm_only, &info, &none, 8);
    TRY(rt_sigtimedwait, &alarm_only, &info, &soon, 8);
    send(SIGALRM);
    TRY(rt_sigtimedwait, &alarm_only, &info, 0, 8);
    IS(info.si_code);
    IS(info.si_pid == getpid());
    TRY(rt_sigtimedwait, &alarm_only, 0, BAD, 8);
    TRY(rt_sigtimedwait, BAD, 0, 0, 8);
    TRY(rt_sigtimedwait, &alarm_only, 0, 0, 7);
    counter = 0;
    send(SIGALRM);
    TRY(rt_sigsuspend, &set, 8);
    IS(mask_now() == alarm_only);
    IS(counter);
    set_mask(0);
    TRY(setitimer, ITIMER_REAL, &timer, 0);
    while (counter < 20)
        ;
    counter = 0;
    while (counter < 5)
        mask_now();
    TRY(setitimer, ITIMER_REAL, 0, &was);
    IS(was.it_interval.tv_usec);
    TRY(alarm, 0);
    TRY(alarm, 1000);
    IS(alarm(0) > 0);
    TRY(alarm, 0);
    TRY(getitimer, ITIMER_REAL, &was);
    IS(was.it_value.tv_sec + was.it_value.tv_usec);
    TRY(getitimer, 9, &was);
    TRY(getitimer, ITIMER_REAL, BAD);
    TRY(setitimer, ITIMER_REAL, &wrong, 0);
    TRY(setitimer, 9, &timer, 0);
    TRY(setitimer, ITIMER_REAL, BAD, 0);
}

static void try_all(void)
{
    struct sigaction usual = {0};
    sending();
    flags();
    blocking();
    stacks();
    exceptions();
    edits();
    all_registers();
    waiting();
    for (int i = 1; i < 65; i++)
        sigaction(i, &usual, 0);
}
"""
    + MAIN
)


@pytest.fixture(scope="module")
def linux():
    """What this Linux does."""
    return on_linux(compile_guest(PROGRAM))


@pytest.mark.parametrize("when", ["at the start", "in a request"])
def test_signals_do_what_they_do_on_linux(guest, linux, when):
    """Flags, masks, stacks, siginfo, contexts, exceptions, and what ends a wait."""
    vm = guest(PROGRAM, whole=True, arguments=[when], limit=60.0)
    assert differing(results(vm.text(f"/{when}")), linux) == {}


# --- In requests ---

HANDLED = (
    HEAD
    + r"""
static int handled;
static sigjmp_buf back;
HANDLER(fix) { handled++; REG(RIP) += 2; }
HANDLER(leave) { handled++; siglongjmp(back, 1); }
static void on_get(const char *url, const char *arg)
{
    sigset_t all;
    sigfillset(&all);
    if (url[1] == 'f')
        asm volatile("ud2");
    if (url[1] == 'n' && sigsetjmp(back, 1) == 0)
        *(volatile char *)0;
    if (url[1] == 'a')
        on(SIGILL, SIG_DFL, 0, 0), set_mask(BIT(SIGSEGV)), alarm(1000);
    if (url[1] == 'b')
        set_mask(-1ul), *(volatile char *)0;
    if (url[1] == 'd')
        on(SIGILL, SIG_DFL, 0, 0), ({ asm volatile("ud2"); });
    if (url[1] == 'k')
        kill(getpid(), atoi(url + 2));
    const int len = sprintf(text, "%d %lx %d", handled, mask_now(), alarm(0) > 0);
    backend_response(200, "text/plain", 10, text, len);
}
int main(void)
{
    on(SIGILL, fix, 0, 0);
    on(SIGSEGV, leave, SA_NODEFER, 0);
    alarm(1000);
    asm volatile("ud2");
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


def serve(vm, url):
    """What is answered, and that the clone, unless it is dropped, is as frozen."""
    answer = vm.get(url)
    assert vm.vm.differing_pages() == 0
    return answer.body.decode() if answer.status == 200 else vm.failure


def test_a_clone_that_handled_an_exception_serves_on_as_frozen(guest):
    vm = guest(HANDLED, whole=True)
    for url in ("/fix", "/null", "/again", "/"):
        for _ in range(3):
            assert serve(vm, url) == {"/fix": "2 0 0", "/null": "2 0 0"}.get(
                url, "1 400 1" if url == "/again" else "1 0 0"
            )
            assert not vm.discarded


def test_what_start_up_has_ordered_of_signals_is_there_in_requests(guest):
    """Handlers are; an alarm is not, as time stands still in a frozen machine."""
    vm = guest(HANDLED, whole=True)
    assert [serve(vm, url) for url in ("/", "/fix", "/null")] == [
        "1 0 0",
        "2 0 0",
        "2 0 0",
    ]


UNHANDLED = {
    "/block": r"page fault reading 0x0 at 0x\w+",
    "/default": r"illegal instruction \(vector 6\) at 0x\w+",
    "/k9": r"ended itself with signal 9 \(SIGKILL\)",
    "/k10": r"ended itself with signal 10 \(SIGUSR1\)",
    "/k19": r"stopped itself with signal 19 \(SIGSTOP\)",
    "/k64": r"ended itself with signal 64 \(SIGRT\)",
}


@pytest.mark.parametrize("url", UNHANDLED)
def test_a_signal_that_nobody_handles_fails_the_request(guest, url):
    vm = guest(HANDLED, whole=True)
    assert re.fullmatch(UNHANDLED[url], serve(vm, url))
    assert serve(vm, "/fix") == "2 0 0"


def test_an_exception_is_handled_in_storage(guest):
    vm = guest(
        HEAD
        + r"""
        static int handled;
        HANDLER(fix) { handled++; REG(RIP) += 2; }
        static void store(size_t n, struct virtbuffer buffers[n], size_t len)
        {
            asm volatile("ud2");
            if (*(int *)buffers[0].data)
                on(SIGILL, SIG_DFL, 0, 0), ({ asm volatile("ud2"); });
            storage_return(&handled, sizeof handled);
        }
        static void on_get(const char *url, const char *arg)
        {
            int result = -1, bad = url[1] == 'b';
            storage_call(store, &bad, sizeof bad, &result, sizeof result);
            const int len = sprintf(text, "%d", result);
            backend_response(200, "text/plain", 10, text, len);
        }
        int main(void)
        {
            on(SIGILL, fix, 0, 0);
            STORAGE_ALLOW(store);
            set_backend_get(on_get);
            wait_for_requests();
        }
        """,
        whole=True,
        storage=True,
    )
    answers = [vm.text(url) for url in ("/", "/", "/bad", "/", "/")]
    assert answers == ["1", "2", "-1", "3", "4"]


# --- Hostile programs ---

HOSTILE = (
    HEAD
    + r"""
static const unsigned long values[] = {
    0, 1, -1ul, 1ul << 63, 0x5000, 0x8ff8, 0x5555555555555555, 0xffffffff80000000};
static char room[65536] __attribute__((aligned(4096)));
static unsigned long place, value;
HANDLER(mutate) { *(unsigned long *)((char *)context - 8 + place) = value; }
HANDLER(mutate_vectors)
{
    *(unsigned long *)((char *)((ucontext_t *)context)->uc_mcontext.fpregs + place) =
        value;
}
HANDLER(segv) { siglongjmp(*(sigjmp_buf *)room, 1); }
HANDLER(fail) { asm volatile("ud2"); }
HANDLER(nothing) {}
static void raw_stack(unsigned long sp, int call)
{
    asm volatile("mov %%rsp, %%r12; mov %0, %%rsp; syscall; mov %%r12, %%rsp"
        : : "r"(sp), "a"(call), "D"(1), "S"(1), "d"(SIGUSR1)
        : "r12", "rcx", "r11", "memory");
}
/* /HOW/NUMBER/PLACE */
static void on_get(const char *url, const char *arg)
{
    unsigned long number = 0;
    char how = url[1];
    stack_t large = {room}, ours = {(void *)0x4000, 0, 0x4000};
    sscanf(url + 2, "/%lu/%lu", &number, &place);
    value = values[number % 8];
    if (how == 'c')
        on(SIGSEGV, segv, 0, 0);
    if (how == 'm' || how == 'c')
        on(SIGUSR1, mutate, 0, 0);
    if (how == 'v')
        on(SIGUSR1, mutate_vectors, 0, 0);
    if (how == 'm' || how == 'v' || (how == 'c' && !sigsetjmp(*(sigjmp_buf *)room, 1)))
        send(SIGUSR1);
    on(SIGUSR1, nothing, how == 'o' ? SA_ONSTACK : 0, 0);
    if (how == 's')
        raw_stack(value, SYS_tgkill);
    if (how == 'r')
        raw_stack(value, SYS_rt_sigreturn);
    if (how == 'o')
        sigaltstack(&ours, 0), send(SIGUSR1);
    if (how == 'h')
        on(SIGUSR1, (void *)value, 0, 0), send(SIGUSR1);
    if (how == 'f')
        large.ss_size = sizeof room, sigaltstack(&large, 0),
        on(SIGILL, fail, SA_NODEFER | SA_ONSTACK, 0), ({ asm volatile("ud2"); });
    backend_response(200, "text/plain", 10, "hello", 5);
}
int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


@pytest.fixture
def hostile(guest):
    return guest(HOSTILE, whole=True, limit=0.5, max_memory=8, max_request_memory=8)


def assert_harmless(vm, how, place=0):
    """Requests with all values may end as they like; the next are served as ever."""
    for number in range(8):
        vm.get(f"/{how}/{number}/{place}")
        assert vm.text("/x") == "hello"
    assert vm.vm.differing_pages() == 0


@pytest.mark.parametrize("how", "mc")
def test_no_word_of_a_frame_harms_anybody(hostile, how):
    """... whether somebody handles the SIGSEGV that it may be, or not."""
    for place in range(0, 440, 8):
        assert_harmless(hostile, how, place)


def test_no_word_of_a_frames_vectors_harms_anybody(hostile):
    places = [0, 8, 24, 160, 464, 472, 480, *range(512, 584, 8), 824, 832, 2680, 2688]
    for place in places:
        assert_harmless(hostile, "v", place)


@pytest.mark.parametrize("how", "srh")
def test_wild_stacks_and_handlers_harm_nobody(hostile, how):
    assert_harmless(hostile, how)


ENDS = {
    "/o": "no stack for the handler of signal 10 (SIGUSR1)",  # pages of the host's
    "/s/0/0": "no stack for the handler of signal 10 (SIGUSR1)",
    "/s/3/0": "no stack for the handler of signal 10 (SIGUSR1)",
    "/r/3/0": "rt_sigreturn: what is on the stack is no frame",
    "/m/3/176": "rt_sigreturn: what is on the stack is no frame",  # rip
    "/f": "illegal instruction",  # in its own handler, until there is no stack
}


@pytest.mark.parametrize("url", ENDS)
def test_a_handler_that_cannot_be_called_or_left_fails_the_request(hostile, url):
    assert hostile.get(url).status == 500
    assert hostile.failure.startswith(ENDS[url])
    assert hostile.text("/x") == "hello"
