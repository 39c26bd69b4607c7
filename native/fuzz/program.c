/* program.c: see program.h. */
#include "program.h"

#include <asm/unistd_64.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "abi.h"
#include "calls.h"
#include "demand.h"
#include "input.h"
#include "sigframe.h"
#include "stubs.h"
#include "tiny.h"
#include "x86.h"

#define STAYS 1     /* in the guest */
#define OUT_BYTES 2 /* behind which RIP is when `out` has been done */
#define MS 1000000UL
#define LAST_WORDS 8
#define SA_RESTORER 0x04000000
#define THREAD_FLAGS                                                                   \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |                \
     CLONE_SYSVSEM | CLONE_CHILD_CLEARTID)

struct layout program_layout;
uint64_t program_callbacks, program_kit, program_steps;

static int booting, steps_left, last_words;
static uint64_t to_register;
static size_t kit_done;

void program_begin(int is_booting, int steps)
{
    booting = is_booting;
    steps_left = steps;
    last_words = 0;
    to_register = booting ? program_callbacks : 0;
    kit_done = booting ? 0 : SIZE_MAX;
}

/* --- Calls --- */

/* As `syscall` leaves the program: mostly from its code, through the stub. */
static int enter_host(struct processor *p)
{
    struct kvm_regs *r = &p->regs;
    r->rcx = TINY_ENTRY + choice(64);
    r->r11 = RFLAGS_FIXED | RFLAGS_IF | (number(1) & 0xd5);
    r->rip = choice(32) ? SYSCALL_STUB_ADDR + OUT_BYTES : TINY_ENTRY;
    return processor_out(p, PORT_SYSCALL, 1);
}

static int system_call(struct processor *p)
{
    calls_prepare(p);
    return enter_host(p);
}

static int out_host_call(struct processor *p)
{
    p->regs.rip = TINY_ENTRY;
    return processor_out(p, PORT_HOST_CALL, 4);
}

static int host_call(struct processor *p)
{
    calls_prepare_host(p);
    return out_host_call(p);
}

/* --- Its memory --- */

static int stored(struct processor *p, int ret)
{
    const uint64_t by_write = 2, by_user = 4;
    if (ret == 0)
        return STAYS;
    return processor_raise(p, VECTOR_PAGE_FAULT, by_write | by_user | choice(2),
                           p->fault);
}

static int store(struct processor *p)
{
    uint8_t some[128];
    size_t len = bytes(some, number(1) % sizeof(some));
    return stored(p, processor_store(p, argument_address(), some, len));
}

static int store_words(struct processor *p)
{
    uint64_t words[8], count = choice(8);
    for (uint64_t i = 0; i < count; i++)
        words[i] = argument_address();
    return stored(p, processor_store(p, argument_address(), words, count * 8));
}

/* --- Signals --- */

/* The handler returns: its frame lies on the stack, as it was or as it has become. */
static int handler_returns(struct processor *p)
{
    uint64_t at = p->regs.rsp + number(2) % (sizeof(struct sigframe) + 1024);
    uint8_t some[16];
    if (choice(2))
        processor_store(p, at, some, bytes(some, choice(sizeof(some))));
    p->regs.rsp += 8;
    p->regs.rax = __NR_rt_sigreturn;
    return enter_host(p);
}

static int move_stack(struct processor *p)
{
    p->regs.rsp = argument_address();
    return STAYS;
}

static int exception(struct processor *p)
{
    uint64_t vector = choice(VECTOR_COUNT);
    return processor_raise(p, (unsigned)vector, number(1), argument_address());
}

/* --- Other ways out --- */

static int kick(struct processor *p)
{
    (void)p;
    processor_now += number(1) * MS;
    return -EINTR;
}

static int pass_time(struct processor *p)
{
    (void)p;
    processor_now += number(1) * MS / 16;
    return STAYS;
}

static int odd_exit(struct processor *p)
{
    static const uint32_t reasons[] = {KVM_EXIT_SHUTDOWN, KVM_EXIT_HLT, KVM_EXIT_MMIO,
                                       KVM_EXIT_DIRTY_RING_FULL};
    uint64_t which = choice(6);
    p->run->exit_reason = reasons[which % 4];
    if (which < 4)
        return 0;
    processor_out(p, (uint16_t)number(2), (uint8_t)(1 + choice(4)));
    p->run->io.direction = which == 5 ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
    /* what comes from there only ring 0 can do */
    p->run->io.port &= PORT_EXCEPTION - 1;
    return 0;
}

static int step(struct processor *p)
{
    uint64_t which = number(1);
    if (which < 0xb0)
        return system_call(p);
    if (which < 0xc0)
        return host_call(p);
    if (which < 0xd0)
        return store(p);
    if (which < 0xd8)
        return store_words(p);
    if (which < 0xe4)
        return handler_returns(p);
    if (which < 0xe8)
        return move_stack(p);
    if (which < 0xf0)
        return exception(p);
    if (which < 0xf8)
        return kick(p);
    return which < 0xfe ? pass_time(p) : odd_exit(p);
}

/* --- The beginning and the end --- */

/* Where the kit has its arguments. */
#define AT(offset) (ARGUMENT_BASE + (offset))
#define ARGUMENT_BASE (1UL << 48) /* stands for the lower half of the main stack */

static const struct {
    uint64_t of;
    uint32_t number;
    uint64_t arg[6];
} kit[] = {
    {KIT_DESCRIPTORS, __NR_pipe2, {AT(0), O_NONBLOCK}},
    {KIT_DESCRIPTORS, __NR_socketpair, {AF_UNIX, SOCK_STREAM, 0, AT(0)}},
    {KIT_DESCRIPTORS, __NR_eventfd2, {1, O_NONBLOCK}},
    {KIT_DESCRIPTORS, __NR_timerfd_create, {CLOCK_MONOTONIC, O_NONBLOCK}},
    {KIT_DESCRIPTORS, __NR_epoll_create1, {0}},
    {KIT_DESCRIPTORS, __NR_epoll_create1, {0}},
    {KIT_DESCRIPTORS, __NR_memfd_create, {AT(0x800), 0}},
    {KIT_DESCRIPTORS, __NR_open, {AT(0x800), O_RDONLY}},
    {KIT_DESCRIPTORS, __NR_open, {AT(0x840), O_DIRECTORY}},
    {KIT_DESCRIPTORS, __NR_epoll_ctl, {9, EPOLL_CTL_ADD, 3, AT(0x8c0)}},
    {KIT_DESCRIPTORS, __NR_epoll_ctl, {9, EPOLL_CTL_ADD, 7, AT(0x8c0)}},
    {KIT_DESCRIPTORS, __NR_epoll_ctl, {10, EPOLL_CTL_ADD, 9, AT(0x8c0)}},
    {KIT_THREADS, __NR_rt_sigaction, {SIGUSR1, AT(0x880), 0, 8}},
    {KIT_THREADS, __NR_rt_sigaction, {SIGSEGV, AT(0x880), 0, 8}},
    {KIT_THREADS, __NR_rt_sigaction, {SIGALRM, AT(0x880), 0, 8}},
    {KIT_THREADS, __NR_rt_sigaction, {40, AT(0x880), 0, 8}},
    {KIT_THREADS, __NR_clone, {THREAD_FLAGS, AT(0x8000), AT(0), AT(4), 0}},
    {KIT_THREADS, __NR_clone, {THREAD_FLAGS, AT(0xc000), AT(0), AT(8), 0}},
};

static uint64_t place_of(uint64_t arg)
{
    const uint64_t base = program_layout.main_stack.begin + LARGE_PAGE;
    return arg >= ARGUMENT_BASE ? base + (arg - ARGUMENT_BASE) : arg;
}

/* What the arguments of the kit point at. */
static void lay_out_kit(struct processor *p)
{
    const uint64_t action[4] = {TINY_ENTRY, SA_RESTORER | SA_SIGINFO | SA_RESTART,
                                TINY_ENTRY, 0};
    const struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
    processor_store(p, place_of(AT(0x800)), "/file", 6);
    processor_store(p, place_of(AT(0x840)), "/there", 7);
    processor_store(p, place_of(AT(0x880)), action, sizeof(action));
    processor_store(p, place_of(AT(0x8c0)), &event, sizeof(event));
}

/* Tells if there was one more call to make. */
static int make_kit(struct processor *p)
{
    struct kvm_regs *r = &p->regs;
    if (kit_done == 0)
        lay_out_kit(p);
    while (kit_done < sizeof(kit) / sizeof(*kit) && !(kit[kit_done].of & program_kit))
        kit_done++;
    if (kit_done >= sizeof(kit) / sizeof(*kit))
        return 0;
    const uint64_t *arg = kit[kit_done].arg;
    r->rax = kit[kit_done++].number;
    r->rdi = place_of(arg[0]);
    r->rsi = place_of(arg[1]);
    r->rdx = place_of(arg[2]);
    r->r10 = place_of(arg[3]);
    r->r8 = place_of(arg[4]);
    r->r9 = 0;
    r->rcx = TINY_ENTRY;
    r->r11 = RFLAGS_FIXED | RFLAGS_IF;
    r->rip = SYSCALL_STUB_ADDR + OUT_BYTES;
    processor_out(p, PORT_SYSCALL, 1);
    return 1;
}

static int register_next(struct processor *p)
{
    int idx = __builtin_ctzl(to_register);
    to_register &= to_register - 1;
    p->regs.rax = idx ? KVM_API_REGISTER_FUNC : KVM_API_STORAGE_ALLOW;
    p->regs.rdi = idx ? (uint64_t)idx : TINY_ENTRY;
    p->regs.rsi = TINY_ENTRY;
    return out_host_call(p);
}

static int wait_for_requests(struct processor *p)
{
    int pauses = !program_callbacks;
    p->regs.rax = pauses ? KVM_API_WAIT_FOR_REQUESTS_PAUSED : KVM_API_WAIT_FOR_REQUESTS;
    p->regs.rdi = program_layout.main_stack.begin;
    return out_host_call(p);
}

/* Only storage writes to memory that nobody tracks. */
static int respond(struct processor *p)
{
    struct kvm_regs *r = &p->regs;
    if (!p->slot[0].tracked) {
        r->rax = KVM_API_STORAGE_NORETURN;
        r->rdi = program_layout.main_stack.begin;
        r->rsi = 16;
        return out_host_call(p);
    }
    r->rax = KVM_API_BACKEND_RESPONSE;
    r->rdi = 200;
    r->rsi = r->rcx = program_layout.main_stack.begin;
    r->rdx = r->r9 = 0;
    r->r8 = 64;
    return out_host_call(p);
}

int processor_step(struct processor *p)
{
    int ret = STAYS;
    if (to_register)
        return register_next(p);
    if (kit_done != SIZE_MAX && make_kit(p))
        return 0;
    kit_done = SIZE_MAX;
    while (ret == STAYS && steps_left > 0 && left) {
        steps_left--;
        program_steps++;
        p->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
        ret = processor_ring_full(p) ? 0 : step(p);
    }
    if (ret != STAYS)
        return ret;
    if (last_words++ < LAST_WORDS)
        return booting ? wait_for_requests(p) : respond(p);
    p->run->exit_reason = KVM_EXIT_HLT;
    return 0;
}
