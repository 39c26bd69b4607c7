/* exception.c: see exception.h. */
#include "exception.h"

#include <signal.h>
#include <string.h>

#include "handler.h"
#include "stubs.h"

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
    if (handler_vectors(m, &v) < 0)
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
    struct thread_signals *t = handler_thread(m);
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

int exception_deliver(struct machine *m, unsigned vector,
                      const struct exception_frame *f)
{
    int signal = faults[vector].signal;
    if (!signal || (f->cs & 3) != 3 || !handler_can_be_called(m, signal))
        return 0;
    struct kvm_regs r = *vcpu_regs(&m->vm);
    r.rip = f->rip;
    r.rsp = f->rsp;
    r.rflags = f->rflags;
    const struct signal_info info = info_of(m, vector, f);
    if (handler_call(m, &r, &info) < 0)
        return 0;
    vcpu_resume(&m->vm, &r);
    return 1;
}

/* What exceptions are called, SDM volume 3, table 6-1. */
static const char *const exception_names[VECTOR_COUNT] = {"division by zero",
                                                          "debug exception",
                                                          "NMI",
                                                          "breakpoint",
                                                          "overflow",
                                                          "bound exceeded",
                                                          "illegal instruction",
                                                          "device not available",
                                                          "double fault",
                                                          "exception 9",
                                                          "invalid TSS",
                                                          "segment not present",
                                                          "stack fault",
                                                          "general protection fault",
                                                          "page fault",
                                                          "exception 15",
                                                          "x87 error",
                                                          "alignment check",
                                                          "machine check",
                                                          "SIMD floating-point error"};

static const char *page_fault_kind(uint64_t error)
{
    return error & 16 ? "executing" : error & 2 ? "writing" : "reading";
}

void exception_fail(struct machine *m, unsigned vector, const struct exception_frame *f)
{
    const char *name = exception_names[vector] ? exception_names[vector] : "exception";
    if (vector == VECTOR_PAGE_FAULT)
        machine_fail(m, "page fault %s 0x%lx at 0x%lx", page_fault_kind(f->error),
                     (unsigned long)m->vm.run->s.regs.sregs.cr2, (unsigned long)f->rip);
    else
        machine_fail(m, "%s (vector %u) at 0x%lx", name, vector, (unsigned long)f->rip);
}
