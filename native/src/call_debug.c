/* call_debug.c: host calls that help to find mistakes; only where allow_debug is set.
 */
#include "hostcall.h"

long call_is_debug(struct host_call *c)
{
    return c->m->facts->debug;
}

/* What a printed line says of a register. */
#define REGISTER(r, name) (unsigned long)(r)->name

/* One line says where the program is, and with what registers; then it goes on. */
long call_breakpoint(struct host_call *c)
{
    const struct kvm_regs *r = vcpu_regs(&c->m->vm);
    if (c->m->facts->debug)
        console_note(
            c->m->console,
            "breakpoint at 0x%lx: rax=%lx rbx=%lx rcx=%lx rdx=%lx rsi=%lx rdi=%lx "
            "rbp=%lx rsp=%lx r8=%lx r9=%lx r10=%lx r11=%lx r12=%lx r13=%lx r14=%lx "
            "r15=%lx",
            REGISTER(r, rip), REGISTER(r, rax), REGISTER(r, rbx), REGISTER(r, rcx),
            REGISTER(r, rdx), REGISTER(r, rsi), REGISTER(r, rdi), REGISTER(r, rbp),
            REGISTER(r, rsp), REGISTER(r, r8), REGISTER(r, r9), REGISTER(r, r10),
            REGISTER(r, r11), REGISTER(r, r12), REGISTER(r, r13), REGISTER(r, r14),
            REGISTER(r, r15));
    return 0;
}
