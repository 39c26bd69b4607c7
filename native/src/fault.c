/* fault.c: see fault.h. SDM volume 3, 4.7: the bits of a page fault. */
#include "fault.h"

#include <errno.h>

#include "far.h"

#define BY_WRITE 2UL
#define BY_RING_3 4UL
#define BY_EXECUTE 16UL
#define OTHERWISE ~(1UL | BY_WRITE | BY_RING_3 | BY_EXECUTE)

static int access_of(uint64_t error)
{
    return error & BY_EXECUTE ? ACCESS_EXECUTE
           : error & BY_WRITE ? ACCESS_READ | ACCESS_WRITE
                              : ACCESS_READ;
}

/* A processor may fault by what it remembers of an entry that allows more by now, and
 * then looks again (SDM volume 3, 4.10.4.3). */
static int may_by_now(const struct machine *m, uint64_t addr, int access)
{
    return m->space.changed && addr < m->mem.layout.mapped_end &&
           (paging_access(m->mem.base, &m->mem.layout, addr) & access) == access;
}

int fault_answer(struct machine *m, const struct exception_frame *frame)
{
    uint64_t addr = m->vm.run->s.regs.sregs.cr2;
    int access = access_of(frame->error);
    if (!(frame->cs & 3) || frame->error & OTHERWISE)
        return 0;
    int ret = may_by_now(m, addr, access) ? 0 : far_back(&m->mem, addr, access);
    if (ret == -EFAULT)
        return 0;
    if (machine_end_call(m) == 0)
        vcpu_leave_exception(&m->vm, frame->rip, frame->rsp, frame->rflags);
    return 1;
}
