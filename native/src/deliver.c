/* deliver.c: see deliver.h. How Linux does it: signal(7), sigaltstack(2), sigreturn(2).
 *
 * A handler begins like after a system call that went elsewhere: with the registers
 * that KVM_RUN takes from the kvm_run page. Vectors take two ioctls more. */
#include "deliver.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sending.h"
#include "sigframe.h"
#include "stubs.h"
#include "x86.h"

#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif

#define USER_END (1UL << 47) /* KVM refuses to enter where no address can be */

/* An XSAVE image with room for what a frame has behind it. */
struct vectors {
    _Alignas(64) uint8_t image[XSAVE_MOST + 64];
};

static int get_vectors(const struct machine *m, struct vectors *v)
{
    return ioctl(m->vm.vcpu_fd, KVM_GET_XSAVE, v->image) < 0 ? -EFAULT : 0;
}

static int set_vectors(struct machine *m, const struct vectors *v)
{
    return ioctl(m->vm.vcpu_fd, KVM_SET_XSAVE, v->image) < 0 ? -EFAULT : 0;
}

/* The program's registers. `syscall` has left two of them in others. */
static struct kvm_regs registers_of(const struct machine *m)
{
    struct kvm_regs r = *vcpu_regs(&m->vm);
    if (r.rip >= SYSCALL_STUB_ADDR && r.rip < SYSCALL_STUB_ADDR + PAGE_SIZE) {
        r.rip = r.rcx;
        r.rflags = m->vm.kvm->ring0_stub ? r.r11 : r.rflags;
    }
    return r;
}

static int write_frame(struct machine *m, const struct sigframe_place *p,
                       const struct sigframe *f, const struct vectors *v)
{
    if (!guest_writable(&m->mem, p->frame, p->end - p->frame))
        return -EFAULT;
    guest_write(&m->mem, p->frame, f, sizeof(*f));
    return guest_write(&m->mem, p->fpu, v->image, p->end - p->fpu);
}

/* Puts the frame on the stack, and the vectors back to how they began. */
static int push_frame(struct machine *m, struct kvm_regs *r,
                      const struct signal_info *info, const struct signal_action *a)
{
    const struct thread_signals *t = deliver_thread(m);
    uint32_t size = m->vm.kvm->xsave_size;
    struct sigframe_place place;
    struct sigframe frame;
    struct vectors v;
    if (!(a->flags & SA_RESTORER) || a->handler >= USER_END ||
        sigframe_place(&place, t, r->rsp, a->flags, size) < 0 || get_vectors(m, &v) < 0)
        return -EFAULT;
    sigframe_fill(&frame, &place, t, r, info, t->has_saved ? t->saved_mask : t->mask);
    frame.restorer = a->restorer;
    sigframe_seal_fpu(v.image, size, m->vm.kvm->xcr0);
    if (write_frame(m, &place, &frame, &v) < 0)
        return -EFAULT;
    r->rsp = place.frame;
    sigframe_fresh_fpu(v.image);
    return set_vectors(m, &v);
}

/* (r) becomes what the handler of (info) begins with. */
static int call_handler(struct machine *m, struct kvm_regs *r,
                        const struct signal_info *info)
{
    struct thread_signals *t = deliver_thread(m);
    struct signal_action *slot = &m->process->actions[info->signal], a = *slot;
    m->touched = 1;
    if (a.flags & SA_RESETHAND)
        slot->handler = (uint64_t)(uintptr_t)SIG_DFL;
    if (push_frame(m, r, info, &a) < 0)
        return -EFAULT;
    r->rip = a.handler;
    r->rdi = (uint32_t)info->signal;
    r->rsi = r->rsp + offsetof(struct sigframe, info);
    r->rdx = r->rsp + offsetof(struct sigframe, context);
    r->rax = 0;
    r->rflags &= ~(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
    t->has_saved = t->saved_mask = 0;
    t->mask |= a.mask | (a.flags & SA_NODEFER ? 0 : signal_bit(info->signal));
    t->mask = signal_mask(t->mask);
    if (t->stack.flags & SS_AUTODISARM)
        t->stack = (struct alt_stack){.flags = SS_DISABLE};
    return 0;
}

/* Tells if a signal that cannot wait has a handler now. */
static int can_force(const struct machine *m, int signal)
{
    return signal_handled(&m->process->actions[signal]) &&
           !(deliver_thread(m)->mask & signal_bit(signal));
}

/* ... which is called instead of one that has no room for its frame. */
static int call_some_handler(struct machine *m, struct kvm_regs *r,
                             const struct signal_info *info)
{
    const struct signal_info fault = {.signal = SIGSEGV, .code = SI_KERNEL};
    if (call_handler(m, r, info) == 0)
        return 0;
    if (info->signal == SIGSEGV || !can_force(m, SIGSEGV))
        return -EFAULT;
    return call_handler(m, r, &fault);
}

int deliver_pending(struct machine *m)
{
    const uint64_t *mask = &deliver_thread(m)->mask;
    struct kvm_regs r = registers_of(m);
    struct signal_info info;
    int calls = 0;
    m->touched = 1;
    while (process_take_signal(m->process, ~*mask, &info)) {
        const struct signal_action *a = &m->process->actions[info.signal];
        if (signal_ignored(a, info.signal))
            continue;
        if (!signal_handled(a))
            return sending_ends(m, info.signal);
        sending_interrupts(m, &r, a->flags);
        if (call_some_handler(m, &r, &info) < 0)
            return machine_fail(m, "no stack for the handler of signal %d (SIG%s)",
                                info.signal, signal_name(info.signal));
        calls++;
    }
    if (calls)
        vcpu_resume(&m->vm, &r);
    return 0;
}

/* What an exception is for a program: SDM volume 3, table 6-1, and signal(7). */
enum where { NOWHERE, AT_RIP, AT_CR2 };
static const struct {
    int signal, code;
    enum where where;
} faults[VECTOR_COUNT] = {
    [0] = {SIGFPE, FPE_INTDIV, AT_RIP},
    [1] = {SIGTRAP, TRAP_TRACE, AT_RIP},
    [VECTOR_BREAKPOINT] = {SIGTRAP, SI_KERNEL, NOWHERE},
    [4] = {SIGSEGV, SI_KERNEL, NOWHERE},
    [6] = {SIGILL, ILL_ILLOPN, AT_RIP},
    [11] = {SIGBUS, SI_KERNEL, NOWHERE},
    [12] = {SIGBUS, SI_KERNEL, NOWHERE},
    [VECTOR_PROTECTION] = {SIGSEGV, SI_KERNEL, NOWHERE},
    [VECTOR_PAGE_FAULT] = {SIGSEGV, SEGV_MAPERR, AT_CR2},
    [VECTOR_X87] = {SIGFPE, FPE_FLTINV, AT_RIP},
    [17] = {SIGBUS, BUS_ADRALN, NOWHERE},
    [VECTOR_SIMD] = {SIGFPE, FPE_FLTINV, AT_RIP},
};

/* Which exception of floating-point arithmetic it was, by the bits of x87 or MXCSR. */
static int arithmetic_code(const struct machine *m, unsigned vector)
{
    struct vectors v;
    uint16_t control, status;
    uint32_t mxcsr;
    if (get_vectors(m, &v) < 0)
        return FPE_FLTINV;
    memcpy(&control, v.image, 2);
    memcpy(&status, v.image + 2, 2);
    memcpy(&mxcsr, v.image + 24, 4);
    uint32_t raised = vector == VECTOR_X87 ? (uint32_t)status & ~(uint32_t)control
                                           : mxcsr & ~(mxcsr >> 7);
    return raised & 1      ? FPE_FLTINV
           : raised & 4    ? FPE_FLTDIV
           : raised & 8    ? FPE_FLTOVF
           : raised & 0x12 ? FPE_FLTUND
                           : FPE_FLTRES;
}

/* Tells if the program has something at (addr), though not for what it did. */
static int is_mapped(const struct machine *m, uint64_t addr, uint64_t error)
{
    const struct layout *l = &m->mem.layout;
    if (addr < PROGRAM_LOW || addr >= USER_END)
        return 0; /* those pages are ours, or nobody's */
    if (error & PAGE_FAULT_PRESENT)
        return 1;
    if (!region_holds(l->program, addr, 1))
        return space_find(&m->space, addr) != NULL;
    return !arena_is_free(&m->process->arena, addr & ~(PAGE_SIZE - 1), PAGE_SIZE);
}

/* Fills in what differs from fault to fault, and notes what Linux notes. */
static struct signal_info info_of(struct machine *m, unsigned vector,
                                  const struct exception_frame *f)
{
    struct thread_signals *t = deliver_thread(m);
    struct signal_info info = {.signal = faults[vector].signal,
                               .code = faults[vector].code};
    t->vector = vector;
    t->error = VECTORS_WITH_ERROR >> vector & 1 ? f->error : 0;
    if (vector == VECTOR_PAGE_FAULT) {
        t->cr2 = m->vm.run->s.regs.sregs.cr2;
        t->error = (f->error & PAGE_FAULT_TELLS) | PAGE_FAULT_USER;
        if (is_mapped(m, t->cr2, f->error))
            info.code = SEGV_ACCERR;
        else
            t->error &= ~PAGE_FAULT_PRESENT;
        t->error |= t->cr2 < USER_END ? 0 : PAGE_FAULT_PRESENT;
    }
    if (vector == VECTOR_X87 || vector == VECTOR_SIMD)
        info.code = arithmetic_code(m, vector);
    info.word[0] = faults[vector].where == AT_RIP   ? f->rip
                   : faults[vector].where == AT_CR2 ? t->cr2
                                                    : 0;
    return info;
}

int deliver_exception(struct machine *m, unsigned vector,
                      const struct exception_frame *f)
{
    int signal = faults[vector].signal;
    if (!signal || (f->cs & 3) != 3 || !can_force(m, signal))
        return 0;
    struct kvm_regs r = *vcpu_regs(&m->vm);
    r.rip = f->rip;
    r.rsp = f->rsp;
    r.rflags = f->rflags;
    const struct signal_info info = info_of(m, vector, f);
    if (call_some_handler(m, &r, &info) < 0)
        return 0;
    vcpu_resume(&m->vm, &r);
    return 1;
}

/* Puts back the vectors of a frame at (addr). What the frame says of itself is read
 * twice; the image is as long as it said the first time. */
static int restore_vectors(struct machine *m, uint64_t addr)
{
    uint32_t size = m->vm.kvm->xsave_size;
    struct vectors v;
    if (!addr) {
        sigframe_fresh_fpu(v.image);
        return set_vectors(m, &v);
    }
    if (addr % 64 || guest_read(&m->mem, addr, v.image, XSAVE_LEGACY) < 0)
        return -EFAULT;
    uint32_t length = sigframe_fpu_length(v.image, size);
    if (guest_read(&m->mem, addr, v.image, length) < 0 ||
        sigframe_open_fpu(v.image, length, size, m->vm.kvm->xcr0) < 0)
        return -EFAULT;
    return set_vectors(m, &v);
}

/* What is no frame is a SIGSEGV. */
static long refuse_frame(struct machine *m, uint64_t rax, int *ends)
{
    const struct signal_info fault = {.signal = SIGSEGV, .code = SI_KERNEL};
    struct thread_signals *t = deliver_thread(m);
    *ends = !can_force(m, SIGSEGV);
    if (*ends)
        return machine_fail(m, "rt_sigreturn: what is on the stack is no frame");
    signals_send(&t->pending, t->mask, &m->process->actions[SIGSEGV], &fault);
    return (long)rax;
}

long deliver_return(struct machine *m, int *ends)
{
    struct thread_signals *t = deliver_thread(m);
    struct kvm_regs r = registers_of(m);
    struct sigframe f;
    if (guest_read(&m->mem, r.rsp - sizeof(f.restorer), &f, sizeof(f)) < 0)
        return refuse_frame(m, 0, ends);
    t->mask = signal_mask(f.context.mask);
    int ret = sigframe_registers(&f, &r);
    vcpu_resume(&m->vm, &r);
    if (restore_vectors(m, f.context.registers.fpu) < 0)
        return refuse_frame(m, 0, ends);
    signals_set_stack(t, &f.context.stack, r.rsp); /* as Linux, whatever it answers */
    if (ret < 0 || r.rip >= USER_END)
        return refuse_frame(m, r.rax, ends);
    return (long)r.rax;
}

int deliver_alarm_due(const struct machine *m, uint64_t now)
{
    return m->process->alarm.due && now >= m->process->alarm.due;
}

/* Times that have passed meanwhile are one signal. */
int deliver_alarm(struct machine *m, uint64_t now)
{
    const struct signal_info info = {.signal = SIGALRM, .code = SI_KERNEL};
    struct alarm *a = &m->process->alarm;
    uint64_t missed = a->interval ? (now - a->due) / a->interval : 0;
    a->due = a->interval ? a->due + (missed + 1) * a->interval : 0;
    m->touched = 1;
    machine_set_deadline(m, m->deadline);
    return sending_to_program(m, &info);
}

int deliver_may_interrupt(struct machine *m)
{
    struct kvm_vcpu_events events;
    if (vcpu_regs(&m->vm)->rip < PROGRAM_LOW ||
        m->vm.run->s.regs.sregs.cs.selector != m->vm.sregs.cs.selector)
        return 0;
    return ioctl(m->vm.vcpu_fd, KVM_GET_VCPU_EVENTS, &events) == 0 &&
           !events.exception.injected && !events.exception.pending &&
           !events.interrupt.injected && !events.nmi.injected;
}

void deliver_wanted(struct machine *m)
{
    struct signal_info info;
    if (!process_take_signal(m->process, m->sleep.wanted, &info))
        return;
    long ret = sending_info(m, m->sleep.info_at, &info);
    vcpu_return(&m->vm, (uint64_t)ret, vcpu_regs(&m->vm)->rdx);
    threads_traced(m, ret, 0);
    machine_wake(m);
}
