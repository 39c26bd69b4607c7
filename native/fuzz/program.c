/* program.c: see program.h. */
#include "program.h"

#include <asm/unistd_64.h>
#include <errno.h>

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

struct layout program_layout;
uint64_t program_callbacks, program_steps;

static int booting, steps_left, last_words;
static uint64_t to_register;

void program_begin(int is_booting, int steps)
{
    booting = is_booting;
    steps_left = steps;
    last_words = 0;
    to_register = booting ? program_callbacks : 0;
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

static int register_next(struct processor *p)
{
    int idx = __builtin_ctzl(to_register);
    to_register &= to_register - 1;
    p->regs.rax = KVM_API_REGISTER_FUNC;
    p->regs.rdi = (uint64_t)idx;
    p->regs.rsi = TINY_ENTRY;
    return out_host_call(p);
}

static int wait_for_requests(struct processor *p)
{
    int pauses = !program_callbacks;
    p->regs.rax =
        pauses ? KVM_API_WAIT_FOR_REQUESTS_PAUSED : KVM_API_WAIT_FOR_REQUESTS;
    p->regs.rdi = program_layout.main_stack.begin;
    return out_host_call(p);
}

static int respond(struct processor *p)
{
    struct kvm_regs *r = &p->regs;
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
