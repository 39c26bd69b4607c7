/* processor.c: see processor.h. KVM API, 4 and 5; SDM volume 3, 4.5 and 6.14. */
#include "processor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"
#include "demand.h"
#include "layout.h"
#include "stubs.h"
#include "vm.h"
#include "x86.h"

#define PROCESSORS 8
#define RING_AT (KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE)
#define RING_BYTES (DIRTY_RING_ENTRIES * sizeof(struct kvm_dirty_gfn))
#define USER_END (1UL << 47)
#define NEVER_USERS (0x3000UL | 1UL << 17) /* IOPL and VM in RFLAGS */

static struct processor processors[PROCESSORS], *last;

struct processor *processor_last(void)
{
    return last;
}

/* --- Memory --- */

static uint8_t *physical(const struct processor *p, uint64_t at)
{
    for (int i = 0; i < 3; i++)
        if (at >= p->slot[i].begin && at - p->slot[i].begin < p->slot[i].size)
            return p->slot[i].host + (at - p->slot[i].begin);
    return NULL;
}

/* What ring 3 may write is never a page of ours, and never a table. */
static void check_leaf(const struct processor *p, uint64_t entry)
{
    uint64_t page = entry & PTE_ADDRESS;
    if (!(entry & PTE_PRESENT) || !(entry & PTE_USER))
        return;
    demand(physical(p, page));
    demand(page >= TRAMPOLINE_ADDR);
    if (entry & PTE_WRITE)
        demand(page >= 0x100000 && (page < p->sregs.cr3 || page >= p->slot[0].size));
}

static uint64_t entry_of(const struct processor *p, uint64_t addr)
{
    uint64_t entry = p->sregs.cr3 | PTE_PRESENT;
    for (int shift = 39; shift >= PAGE_SHIFT && entry & PTE_PRESENT; shift -= 9) {
        const uint8_t *table = physical(p, entry & PTE_ADDRESS);
        demand(table && (entry & PTE_ADDRESS) >= p->sregs.cr3);
        memcpy(&entry, table + (addr >> shift & 511) * 8, 8);
    }
    return entry;
}

static void check_table(const struct processor *p, uint64_t at, int shift)
{
    const uint64_t *table = (const uint64_t *)(const void *)physical(p, at);
    demand(table && at >= p->sregs.cr3);
    for (int i = 0; i < 512; i++) {
        if (!(table[i] & PTE_PRESENT))
            continue;
        if (shift == PAGE_SHIFT)
            check_leaf(p, table[i]);
        else
            check_table(p, table[i] & PTE_ADDRESS, shift - 9);
    }
}

void processor_check_tables(struct processor *p)
{
    check_table(p, p->sregs.cr3, 39);
}

/* The processor has written to a page of slot 0: told once, until KVM is to tell anew.
 */
static void report(struct processor *p, uint64_t page)
{
    uint64_t number = page >> PAGE_SHIFT;
    if (!p->ring || !p->slot[0].tracked || page >= p->slot[0].size ||
        p->reported[number])
        return;
    struct kvm_dirty_gfn *entry = &p->ring[p->ring_next % DIRTY_RING_ENTRIES];
    demand(!entry->flags);
    p->reported[number] = 1;
    entry->offset = number;
    entry->flags = KVM_DIRTY_GFN_F_DIRTY;
    p->ring_next++;
}

int processor_store(struct processor *p, uint64_t addr, const void *src, size_t len)
{
    for (size_t done = 0, run; done < len; done += run) {
        uint64_t at = addr + done, entry = at < USER_END ? entry_of(p, at) : 0;
        const uint64_t wanted = PTE_PRESENT | PTE_USER | PTE_WRITE;
        run = PAGE_SIZE - at % PAGE_SIZE;
        run = run < len - done ? run : len - done;
        p->fault = at;
        if ((entry & wanted) != wanted)
            return -EFAULT;
        check_leaf(p, entry);
        memcpy(physical(p, entry & PTE_ADDRESS) + at % PAGE_SIZE,
               (const uint8_t *)src + done, run);
        report(p, entry & PTE_ADDRESS);
    }
    return 0;
}

/* --- Leaving the guest --- */

int processor_out(struct processor *p, uint16_t port, uint8_t size)
{
    p->run->exit_reason = KVM_EXIT_IO;
    p->run->io.direction = KVM_EXIT_IO_OUT;
    p->run->io.port = port;
    p->run->io.size = size;
    p->run->io.count = 1;
    return 0;
}

int processor_raise(struct processor *p, unsigned vector, uint64_t error, uint64_t cr2)
{
    const struct exception_frame frame = {.error = error,
                                          .rip = p->regs.rip,
                                          .cs = p->sregs.cs.selector,
                                          .rflags = p->regs.rflags,
                                          .rsp = p->regs.rsp,
                                          .ss = p->sregs.ss.selector};
    memcpy(physical(p, EXCEPTION_FRAME_ADDR), &frame, sizeof(frame));
    report(p, EXCEPTION_STACK_ADDR);
    p->regs.rip = EXCEPTION_STUBS_ADDR + 16 * vector + 2;
    p->regs.rsp = EXCEPTION_FRAME_ADDR;
    p->sregs.cs.selector = SEL_KERNEL_CODE;
    p->sregs.ss.selector = 0;
    if (vector == VECTOR_PAGE_FAULT)
        p->sregs.cr2 = cr2;
    return processor_out(p, (uint16_t)(PORT_EXCEPTION + vector), 1);
}

/* --- KVM_RUN --- */

static void take_registers(struct processor *p)
{
    const struct kvm_sync_regs *r = &p->run->s.regs;
    if (p->run->kvm_dirty_regs & KVM_SYNC_X86_REGS)
        p->regs = r->regs;
    if (p->run->kvm_dirty_regs & KVM_SYNC_X86_SREGS)
        p->sregs = r->sregs;
    p->run->kvm_dirty_regs = 0;
}

static void give_registers(struct processor *p)
{
    p->run->s.regs.regs = p->regs;
    p->run->s.regs.sregs = p->sregs;
}

static int is_user_code(const struct kvm_segment *s)
{
    return s->selector == SEL_USER_CODE && s->dpl == 3 && s->l;
}

/* What a machine may enter the guest with: the rest KVM would refuse, or be wrong. */
static void check_registers(const struct processor *p)
{
    const struct kvm_sregs *s = &p->sregs;
    demand(is_user_code(&s->cs) && s->ss.selector == SEL_USER_DATA);
    demand(p->regs.rip < USER_END);
    demand(!(p->regs.rflags & NEVER_USERS) && p->regs.rflags & RFLAGS_FIXED);
    demand(s->fs.base < USER_END && s->gs.base < USER_END);
    demand(s->cr3 && s->cr3 % PAGE_SIZE == 0 && s->cr0 & CR0_WP);
}

int processor_ring_full(const struct processor *p)
{
    return p->ring && p->ring_next - p->ring_harvested > DIRTY_RING_ENTRIES - 64;
}

static int run(struct processor *p)
{
    static int kicked;
    last = p;
    take_registers(p);
    int ret = p->run->immediate_exit ? -EINTR : 0;
    kicked = !kicked && processor_now >= processor_kick;
    if (ret == 0 && kicked)
        ret = -EINTR;
    if (ret == 0) {
        check_registers(p);
        ret = processor_step(p);
    }
    give_registers(p);
    errno = -ret;
    return ret < 0 ? -1 : 0;
}

/* --- The other requests --- */

static struct processor *find(int fd)
{
    for (int i = 0; i < PROCESSORS; i++)
        if (processors[i].vm == fd || processors[i].vcpu == fd)
            return &processors[i];
    return NULL;
}

static void forget(int fd)
{
    struct processor *p = find(fd);
    if (!p)
        return;
    if (p->run)
        munmap(p->run, RING_AT + RING_BYTES);
    free(p->reported);
    memset(p, 0, sizeof(*p));
}

static struct processor *take_place(void)
{
    struct processor *p = processors;
    while (p < processors + PROCESSORS && p->vm)
        p++;
    demand(p < processors + PROCESSORS);
    return p;
}

static int create_vm(void)
{
    int fd = memfd_create("vm", MFD_CLOEXEC);
    demand(fd > 0);
    take_place()->vm = fd;
    return fd;
}

static int create_vcpu(struct processor *p)
{
    int fd = memfd_create("vcpu", MFD_CLOEXEC);
    demand(fd > 0 && ftruncate(fd, (off_t)(RING_AT + RING_BYTES)) == 0);
    uint8_t *at =
        mmap(NULL, RING_AT + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    demand(at != MAP_FAILED);
    p->vcpu = fd;
    p->run = (struct kvm_run *)(void *)at;
    p->ring =
        p->slot[0].tracked ? (struct kvm_dirty_gfn *)(void *)(at + RING_AT) : NULL;
    return fd;
}

static void tell_anew(struct processor *p)
{
    if (p->reported)
        memset(p->reported, 0, p->slot[0].size >> PAGE_SHIFT);
}

/* Those that have been taken become free, and are told again when they are written. */
static int reset_rings(struct processor *p)
{
    int count = 0;
    for (; p->ring_harvested < p->ring_next; p->ring_harvested++, count++) {
        struct kvm_dirty_gfn *e = &p->ring[p->ring_harvested % DIRTY_RING_ENTRIES];
        if (!(e->flags & KVM_DIRTY_GFN_F_RESET))
            break;
        p->reported[e->offset] = 0;
        e->flags = 0;
    }
    return count;
}

/* Deleted and added, a slot is told of anew. */
static int set_slot(struct processor *p,
                    const struct kvm_userspace_memory_region *region)
{
    demand(region->slot < 3);
    struct slot *slot = &p->slot[region->slot];
    *slot = (struct slot){region->guest_phys_addr, region->memory_size,
                          (uint8_t *)(uintptr_t)region->userspace_addr,
                          !!(region->flags & KVM_MEM_LOG_DIRTY_PAGES)};
    if (region->slot == 0 && region->memory_size && !p->reported)
        p->reported = calloc(1, region->memory_size >> PAGE_SHIFT);
    if (region->slot == 0 && region->memory_size)
        tell_anew(p);
    return 0;
}

/* What KVM_SET_XSAVE takes (SDM volume 1, 13.8.1). */
static int set_xsave(struct processor *p, const uint8_t *image)
{
    static const uint8_t zeros[48];
    uint64_t features;
    uint32_t mxcsr;
    memcpy(&features, image + 512, 8);
    memcpy(&mxcsr, image + 24, 4);
    demand(!(features & ~7UL) && !(mxcsr & ~0xffffu));
    demand(memcmp(image + 528, zeros, sizeof(zeros)) == 0);
    memcpy(p->xsave, image, sizeof(p->xsave));
    return 0;
}

static int get_events(struct kvm_vcpu_events *e)
{
    memset(e, 0, sizeof(*e));
    return 0;
}

static int answer(struct processor *p, unsigned long request, void *arg)
{
    switch (request) {
    case KVM_RUN:
        return run(p);
    case KVM_SET_USER_MEMORY_REGION:
        return set_slot(p, arg);
    case KVM_CREATE_VCPU:
        return create_vcpu(p);
    case KVM_RESET_DIRTY_RINGS:
        return reset_rings(p);
    case KVM_GET_SREGS:
        memcpy(arg, &p->sregs, sizeof(p->sregs));
        return 0;
    case KVM_SET_SREGS:
        memcpy(&p->sregs, arg, sizeof(p->sregs));
        give_registers(p);
        return 0;
    case KVM_GET_XSAVE:
        memcpy(arg, p->xsave, sizeof(p->xsave));
        return 0;
    case KVM_SET_XSAVE:
        return set_xsave(p, arg);
    case KVM_GET_VCPU_EVENTS:
        return get_events(arg);
    case KVM_SET_MSRS:
        return 3;
    default:
        return 0;
    }
}

void __real_vm_close(struct vm *vm);
void __wrap_vm_close(struct vm *vm);

void __wrap_vm_close(struct vm *vm)
{
    if (vm->fd > 0)
        forget(vm->fd);
    __real_vm_close(vm);
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *arg = va_arg(args, void *);
    va_end(args);
    if (request == KVM_CREATE_VM)
        return create_vm();
    struct processor *p = find(fd);
    return p ? answer(p, request, arg) : __real_ioctl(fd, request, arg);
}
