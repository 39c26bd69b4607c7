/* paused.c: see paused.h. A clone's way behind the frozen wait leads through the
 * trampoline, which puts the extended registers back, to a stub that takes all others
 * from the call stack. Its last step needs the address to go to on the program's own
 * stack: that lies below the red zone, where no function keeps anything. */
#include "paused.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "stubs.h"

void paused_freeze(struct machine *m)
{
    vcpu_step_over(&m->vm, &m->mem, 0);
    m->facts->paused = *vcpu_regs(&m->vm);
}

int paused_waits(const struct machine *m)
{
    return m->facts->paused_request != 0;
}

int paused_goes_on(const struct machine *m)
{
    return m->is_kept && m->last_paused;
}

static int fill_in(struct machine *m, uint64_t addr, const struct kvm_request *request)
{
    if (guest_write(&m->mem, addr, request, sizeof(*request)) < 0)
        return machine_fail(m, "wait_for_requests_paused: unwritable request");
    return 0;
}

int paused_resume(struct machine *m, const struct kvm_request *request,
                  struct resume_frame *frame)
{
    const struct kvm_regs *r = &m->facts->paused;
    uint64_t at = r->rsp - RESUME_SKIP - sizeof(r->rip);
    *frame = (struct resume_frame){.rflags = r->rflags,
                                   .rax = r->rax,
                                   .rbx = r->rbx,
                                   .rcx = r->rcx,
                                   .rdx = r->rdx,
                                   .rsi = r->rsi,
                                   .rdi = r->rdi,
                                   .rbp = r->rbp,
                                   .r8 = r->r8,
                                   .r9 = r->r9,
                                   .r10 = r->r10,
                                   .r11 = r->r11,
                                   .r12 = r->r12,
                                   .r13 = r->r13,
                                   .r14 = r->r14,
                                   .r15 = r->r15,
                                   .rsp = at};
    if (guest_write(&m->mem, at, &r->rip, sizeof(r->rip)) < 0)
        return machine_fail(m, "wait_for_requests_paused: no room on the stack");
    m->last_paused = 1;
    return fill_in(m, m->facts->paused_request, request);
}

void paused_go_on(struct machine *m, const struct kvm_request *request)
{
    m->next = *request;
    m->has_next = 1;
    vcpu_return(&m->vm, 0, vcpu_regs(&m->vm)->rdx);
}

long paused_wait(struct machine *m, uint64_t addr)
{
    if (!m->has_next)
        return machine_fail(m, "wait_for_requests_paused without a response");
    m->has_next = 0;
    return fill_in(m, addr, &m->next);
}
