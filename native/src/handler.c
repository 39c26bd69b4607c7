/* handler.c: see handler.h. How Linux does it: signal(7), sigaltstack(2), sigreturn(2).
 *
 * A handler begins like after a system call that went elsewhere: with the registers
 * that KVM_RUN takes from the kvm_run page. Vectors take two ioctls more. */
#include "handler.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "stubs.h"

#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif

int handler_vectors(const struct machine *m, struct vectors *v)
{
    return ioctl(m->vm.vcpu_fd, KVM_GET_XSAVE, v->image) < 0 ? -EFAULT : 0;
}

static int set_vectors(struct machine *m, const struct vectors *v)
{
    return ioctl(m->vm.vcpu_fd, KVM_SET_XSAVE, v->image) < 0 ? -EFAULT : 0;
}

struct kvm_regs handler_registers(const struct machine *m)
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
    const struct thread_signals *t = handler_thread(m);
    uint32_t size = m->vm.kvm->xsave_size;
    struct sigframe_place place;
    struct sigframe frame;
    struct vectors v;
    if (!(a->flags & SA_RESTORER) || a->handler >= USER_END ||
        sigframe_place(&place, t, r->rsp, a->flags, size) < 0 ||
        handler_vectors(m, &v) < 0)
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
    struct thread_signals *t = handler_thread(m);
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

int handler_can_be_called(const struct machine *m, int signal)
{
    return signal_handled(&m->process->actions[signal]) &&
           !(handler_thread(m)->mask & signal_bit(signal));
}

int handler_call(struct machine *m, struct kvm_regs *r, const struct signal_info *info)
{
    const struct signal_info fault = {.signal = SIGSEGV, .code = SI_KERNEL};
    if (call_handler(m, r, info) == 0)
        return 0;
    if (info->signal == SIGSEGV || !handler_can_be_called(m, SIGSEGV))
        return -EFAULT;
    return call_handler(m, r, &fault);
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
    struct thread_signals *t = handler_thread(m);
    *ends = !handler_can_be_called(m, SIGSEGV);
    if (*ends)
        return machine_fail(m, "rt_sigreturn: what is on the stack is no frame");
    signals_send(&t->pending, t->mask, &m->process->actions[SIGSEGV], &fault);
    return (long)rax;
}

long handler_return(struct machine *m, int *ends)
{
    struct thread_signals *t = handler_thread(m);
    struct kvm_regs r = handler_registers(m);
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
