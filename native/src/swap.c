/* swap.c: see swap.h. */
#include "swap.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "x86.h"

#define OUT_BYTES 2             /* of the first instruction of the system-call stub */
#define XSTATE_BV_AT 512        /* in an XSAVE area: SDM volume 1, 13.4.2 */
#define SYSRET_FLAGS 0x3c7fd7UL /* that SYSRET takes from R11: SDM volume 2 */

/* Has (r) go on behind the `syscall` that led to the stub, as the stub would. Its `out`
 * is done: then RIP is behind it, or still at it after the exit that it has made. */
static void leave_stub(const struct machine *m, struct kvm_regs *r)
{
    r->rip = r->rcx;
    if (m->vm.kvm->ring0_stub)
        r->rflags = (r->r11 & SYSRET_FLAGS) | RFLAGS_FIXED;
}

static int holds_stub(const struct kvm_regs *r)
{
    return r->rip >= SYSCALL_STUB_ADDR && r->rip < SYSCALL_STUB_ADDR + PAGE_SIZE;
}

static void own_out(const struct machine *m, struct thread *to)
{
    const struct process *p = m->process;
    to->wait_until = m->wait_until;
    to->sleep = m->sleep;
    to->signals = p->signals;
    memcpy(to->name, p->name, sizeof(to->name));
    to->clear_tid = p->clear_tid;
    to->robust_list = p->robust_list;
}

void swap_in_own(struct machine *m, const struct thread *from)
{
    struct process *p = m->process;
    m->wait_until = from->wait_until;
    m->sleep = (struct sleep){0};
    p->signals = from->signals;
    memcpy(p->name, from->name, sizeof(p->name));
    p->clear_tid = from->clear_tid;
    p->robust_list = from->robust_list;
}

/* A software KVM shows state that guests do not have, and does not take it back. */
static int save_fpu(struct machine *m, uint8_t *area)
{
    uint64_t features;
    if (ioctl(m->vm.vcpu_fd, KVM_GET_XSAVE, area) < 0)
        return machine_fail(m, "KVM_GET_XSAVE: %s", strerror(errno));
    memcpy(&features, area + XSTATE_BV_AT, sizeof(features));
    features &= m->vm.kvm->xcr0;
    memcpy(area + XSTATE_BV_AT, &features, sizeof(features));
    return 0;
}

int swap_out(struct machine *m, uint32_t i)
{
    const struct kvm_sregs *s = &m->vm.run->s.regs.sregs;
    struct thread *to = &m->threads->at[i];
    to->regs = *vcpu_regs(&m->vm);
    if (holds_stub(&to->regs))
        leave_stub(m, &to->regs);
    to->ds = s->ds;
    to->es = s->es;
    to->fs = s->fs;
    to->gs = s->gs;
    own_out(m, to);
    threads_touch(m->threads, to);
    return save_fpu(m, m->threads->fpu[i]);
}

/* Those of the thread that runs, in a system call: it goes on behind that. */
static struct kvm_regs *behind_call(struct machine *m)
{
    struct kvm_sregs *s = &m->vm.run->s.regs.sregs;
    struct kvm_regs *r = vcpu_regs(&m->vm);
    if (holds_stub(r))
        leave_stub(m, r);
    s->cs = m->vm.sregs.cs;
    s->ss = m->vm.sregs.ss;
    m->vm.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    vcpu_set_sregs(&m->vm);
    return r;
}

void swap_again(struct machine *m)
{
    behind_call(m)->rip -= SYSCALL_BYTES;
}

struct kvm_regs *swap_registers(struct machine *m, struct thread *of)
{
    return of == threads_current(m->threads) ? behind_call(m) : &of->regs;
}

int swap_in(struct machine *m, uint32_t i)
{
    struct kvm_sregs *s = &m->vm.run->s.regs.sregs;
    const struct thread *from = &m->threads->at[i];
    *vcpu_regs(&m->vm) = from->regs;
    s->cs = m->vm.sregs.cs;
    s->ss = m->vm.sregs.ss;
    s->ds = from->ds;
    s->es = from->es;
    s->fs = from->fs;
    s->gs = from->gs;
    m->vm.run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    vcpu_set_sregs(&m->vm);
    swap_in_own(m, from);
    m->touched = 1;
    if (ioctl(m->vm.vcpu_fd, KVM_SET_XSAVE, m->threads->fpu[i]) < 0)
        return machine_fail(m, "KVM_SET_XSAVE: %s", strerror(errno));
    return 0;
}

/* Tells if the vCPU can be taken from its thread here: not on the way into the host,
 * where the system call is still to be made, nor into an exception. */
int swap_can(const struct machine *m)
{
    const struct kvm_sync_regs *now = &m->vm.run->s.regs;
    const struct kvm_vcpu_events *e = &now->events;
    if (e->exception.injected || e->exception.pending || e->nmi.injected ||
        e->interrupt.injected)
        return 0;
    if (holds_stub(&now->regs))
        return now->regs.rip == SYSCALL_STUB_ADDR + OUT_BYTES;
    return now->sregs.cs.selector == m->vm.sregs.cs.selector;
}

int swap_in_call(const struct machine *m)
{
    return holds_stub(vcpu_regs(&m->vm));
}
