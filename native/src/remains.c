/* remains.c: see remains.h. The registers of an exception lie on its stack; those of a
 * system call say where the program goes on, not where the stub is. */
#include "remains.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "memory.h"
#include "paging.h"
#include "stubs.h"
#include "threads.h"
#include "x86.h"

struct skerry_remains {
    struct guestmem mem;
    struct skerry_shm *shm;
    int own; /* mem.base is ours */
    uint32_t count;
    struct skerry_registers registers[THREADS]; /* (count); who has failed is first */
    char reason[REASON_SIZE];
};

/* Tells if the last exit was that of an exception stub. */
static int in_exception(const struct kvm_run *run)
{
    return run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT &&
           run->io.port >= PORT_EXCEPTION &&
           run->io.port < PORT_EXCEPTION + VECTOR_COUNT;
}

/* What the program had in the registers that an exception or `syscall` changes. */
static struct exception_frame frame_of(const struct machine *m)
{
    const struct kvm_regs *r = vcpu_regs(&m->vm);
    struct exception_frame f = {.rip = r->rip, .rsp = r->rsp, .rflags = r->rflags};
    if (in_exception(m->vm.run))
        memcpy(&f, m->mem.base + EXCEPTION_FRAME_ADDR, sizeof(f));
    if (f.rip >= SYSCALL_STUB_ADDR && f.rip < SYSCALL_STUB_ADDR + PAGE_SIZE)
        f.rip = r->rcx;
    return f;
}

uint64_t remains_rip(const struct machine *m)
{
    return frame_of(m).rip;
}

uint64_t remains_top(const struct machine *m)
{
    uint64_t word = 0;
    guest_read(&m->mem, frame_of(m).rsp, &word, sizeof(word));
    return word;
}

struct place remains_place(const struct machine *m)
{
    struct place p = {""};
    if (!strstr(m->reason, " at 0x"))
        snprintf(p.text, sizeof(p.text), " at 0x%lx", (unsigned long)remains_rip(m));
    return p;
}

static struct skerry_registers registers_of(const struct kvm_regs *r, uint64_t fs_base,
                                            uint64_t gs_base)
{
    return (struct skerry_registers){
        .general = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, r->rsp,
                    r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15},
        .rip = r->rip,
        .rflags = r->rflags,
        .fs_base = fs_base,
        .gs_base = gs_base};
}

/* Of the thread that runs. */
static struct skerry_registers take_registers(const struct machine *m)
{
    const struct exception_frame f = frame_of(m);
    const struct kvm_sregs *s = &m->vm.run->s.regs.sregs;
    struct kvm_regs r = *vcpu_regs(&m->vm);
    r.rip = f.rip;
    r.rsp = f.rsp;
    r.rflags = f.rflags;
    struct skerry_registers now = registers_of(&r, s->fs.base, s->gs.base);
    now.tid = threads_tid(m);
    return now;
}

/* Those of the other threads are in the table. */
static void take_others(const struct threads *t, struct skerry_remains *to)
{
    for (uint32_t i = 0; t && i < THREADS; i++) {
        const struct thread *one = &t->at[i];
        if (!one->tid || i == t->current)
            continue;
        struct skerry_registers *r = &to->registers[to->count++];
        *r = registers_of(&one->regs, one->fs.base, one->gs.base);
        r->tid = one->tid;
        memcpy(r->fxsave, t->fpu[i], sizeof(r->fxsave));
    }
}

static int take_vectors(const struct machine *m, struct skerry_registers *to,
                        struct skerry_error *err)
{
    struct kvm_xsave xsave;
    if (ioctl(m->vm.vcpu_fd, KVM_GET_XSAVE, &xsave) < 0)
        return skerry_fail(err, "KVM_GET_XSAVE");
    memcpy(to->fxsave, &xsave, sizeof(to->fxsave));
    return 0;
}

int remains_open(const struct machine *m, struct skerry_shm *shm,
                 struct skerry_remains **out, struct skerry_error *err)
{
    struct skerry_remains *r = calloc(1, sizeof(*r));
    if (!r)
        return skerry_fail(err, "remains");
    r->registers[r->count++] = take_registers(m);
    int ret = take_vectors(m, &r->registers[0], err);
    if (ret < 0) {
        free(r);
        return ret;
    }
    take_others(m->threads, r);
    memcpy(r->reason, m->reason, sizeof(r->reason));
    r->mem = m->mem;
    r->mem.dirty = NULL;
    r->mem.space = NULL;
    r->mem.bounce = NULL;
    r->shm = shm_share(shm);
    *out = r;
    return 0;
}

void remains_keep(struct skerry_remains *r, struct machine *m)
{
    m->mem.base = NULL;
    r->own = 1;
}

void skerry_remains_close(struct skerry_remains *r)
{
    if (!r)
        return;
    if (r->own)
        memory_unmap(r->mem.base, r->mem.layout.slot_size);
    skerry_shm_close(r->shm);
    free(r);
}

const struct skerry_registers *skerry_remains_registers(const struct skerry_remains *r,
                                                        uint32_t i)
{
    return i < r->count ? &r->registers[i] : NULL;
}

const char *skerry_remains_reason(const struct skerry_remains *r)
{
    return r->reason;
}

int skerry_remains_read(const struct skerry_remains *r, uint64_t addr, void *dst,
                        uint64_t len)
{
    return guest_read(&r->mem, addr, dst, len);
}

/* What ring 3 may do with the page at (addr), 0 if the page has never been used. Asks
 * the kernel, as reading such a page would make one. */
static int access_of(const struct guestmem *gm, uint64_t addr)
{
    const uint8_t *at = guest_view(gm, addr, PAGE_SIZE);
    unsigned char resident = 0;
    if (!at || mincore((void *)(uintptr_t)at, PAGE_SIZE, &resident) < 0)
        return 0;
    return resident & 1 ? paging_access(gm->base, &gm->layout, addr) : 0;
}

/* The first page at (at) or above that may be one of the program's. */
static uint64_t next_page(const struct guestmem *gm, uint64_t at)
{
    return at < gm->layout.mapped_end ? at : paging_far_next(gm->base, &gm->layout, at);
}

int skerry_remains_next(const struct skerry_remains *r, uint64_t from,
                        struct skerry_range *out)
{
    const struct guestmem *gm = &r->mem;
    uint64_t at = next_page(gm, page_up(from)), end = gm->layout.far.end;
    int access = 0;
    while (at < end && !(access = access_of(gm, at)))
        at = next_page(gm, at + PAGE_SIZE);
    *out = (struct skerry_range){.begin = at, .end = at, .access = (uint32_t)access};
    while (out->end < end && access && access_of(gm, out->end) == access)
        out->end += PAGE_SIZE;
    return access != 0;
}
