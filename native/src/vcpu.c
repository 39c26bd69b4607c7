/* vcpu.c: see vcpu.h. Registers travel through the kvm_run page (KVM API, 5, sync
 * regs): no system call but KVM_RUN. */
#include "vcpu.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi.h"
#include "paging.h"
#include "stubs.h"
#include "x86.h"

#define USER_FLAGS (RFLAGS_FIXED | RFLAGS_IF)

static const struct kvm_segment user_code = {.limit = 0xffffffff,
                                             .selector = SEL_USER_CODE,
                                             .type = SEG_TYPE_CODE,
                                             .present = 1,
                                             .dpl = 3,
                                             .s = 1,
                                             .l = 1,
                                             .g = 1};
static const struct kvm_segment user_data = {.limit = 0xffffffff,
                                             .selector = SEL_USER_DATA,
                                             .type = SEG_TYPE_DATA,
                                             .present = 1,
                                             .dpl = 3,
                                             .db = 1,
                                             .s = 1,
                                             .g = 1};
static const struct kvm_segment task = {
    .base = TSS_ADDR, .limit = TSS_LIMIT, .selector = SEL_TSS, .present = 1};

/* Ring 0 may neither run nor touch the program's pages, where ring 0 is real. */
static uint64_t guards(const struct kvm *kvm)
{
    if (!kvm->ring0_stub)
        return 0;
    return (kvm->has_smep ? CR4_SMEP : 0) | (kvm->has_smap ? CR4_SMAP : 0) |
           (kvm->has_umip ? CR4_UMIP : 0);
}

static int set_sregs(struct vm *vm, const struct layout *l, struct skerry_error *err)
{
    struct kvm_sregs *s = &vm->sregs;
    if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, s) < 0)
        return skerry_fail(err, "KVM_GET_SREGS");
    s->cr0 = CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
    s->cr3 = paging_root(l);
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE |
             guards(vm->kvm);
    s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    s->gdt = (struct kvm_dtable){.base = GDT_ADDR, .limit = 8 * 8 - 1};
    s->idt = (struct kvm_dtable){.base = IDT_ADDR, .limit = VECTOR_COUNT * 16 - 1};
    s->cs = user_code;
    s->ds = s->es = s->fs = s->gs = s->ss = user_data;
    s->tr = task;
    s->tr.type = vm->kvm->tss_type;
    if (ioctl(vm->vcpu_fd, KVM_SET_SREGS, s) < 0)
        return skerry_fail(err, "KVM_SET_SREGS");
    return 0;
}

static int set_msrs(struct vm *vm, struct skerry_error *err)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[3];
    } msrs = {.head = {.nmsrs = 3}};
    uint64_t star = (uint64_t)(SEL_SYSRET_BASE | 3) << 48 | (uint64_t)SEL_KERNEL_CODE
                                                                << 32;
    uint64_t mask = RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC;
    msrs.entries[0] = (struct kvm_msr_entry){.index = MSR_STAR, .data = star};
    msrs.entries[1] =
        (struct kvm_msr_entry){.index = MSR_LSTAR, .data = SYSCALL_STUB_ADDR};
    msrs.entries[2] = (struct kvm_msr_entry){.index = MSR_FMASK,
                                             .data = vm->kvm->ring0_stub ? mask : 0};
    if (ioctl(vm->vcpu_fd, KVM_SET_MSRS, &msrs) != 3)
        return skerry_refuse(err, EIO, "KVM_SET_MSRS",
                             "STAR, LSTAR or FMASK was refused");
    return 0;
}

static int set_features(struct vm *vm, struct skerry_error *err)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = vm->kvm->xcr0}}};
    if (ioctl(vm->vcpu_fd, KVM_SET_CPUID2, &vm->kvm->cpuid) < 0)
        return skerry_fail(err, "KVM_SET_CPUID2");
    if (ioctl(vm->vcpu_fd, KVM_SET_XCRS, &xcrs) < 0)
        return skerry_fail(err, "KVM_SET_XCRS");
    return 0;
}

/* The clock's pages speak of this machine's time stamp counter; a new vCPU's begins at
 * 0. */
static int set_counter(struct vm *vm, struct skerry_error *err)
{
    uint64_t offset = 0;
    struct kvm_device_attr attr = {.group = KVM_VCPU_TSC_CTRL,
                                   .attr = KVM_VCPU_TSC_OFFSET,
                                   .addr = (uint64_t)(uintptr_t)&offset};
    if (vm->kvm->has_clock && ioctl(vm->vcpu_fd, KVM_SET_DEVICE_ATTR, &attr) < 0)
        return skerry_fail(err, "KVM_VCPU_TSC_OFFSET");
    return 0;
}

int vcpu_setup(struct vm *vm, const struct layout *l, struct skerry_error *err)
{
    int ret = set_features(vm, err);
    if (ret == 0)
        ret = set_sregs(vm, l, err);
    if (ret == 0)
        ret = set_msrs(vm, err);
    if (ret == 0)
        ret = set_counter(vm, err);
    vm->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
    return ret;
}

void vcpu_start(struct vm *vm, uint64_t rip, uint64_t rsp)
{
    *vcpu_regs(vm) = (struct kvm_regs){.rip = rip, .rsp = rsp, .rflags = USER_FLAGS};
    vm->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
}

/* KVM reads the task register back as busy, whatever was set. */
void vcpu_set_sregs(struct vm *vm)
{
    vm->run->s.regs.sregs.tr.type = vm->kvm->tss_type;
    vm->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
}

static void forget_events(struct vm *vm)
{
    memset(&vm->run->s.regs.events, 0, sizeof(vm->run->s.regs.events));
    vm->run->kvm_dirty_regs |= KVM_SYNC_X86_EVENTS;
    vcpu_set_sregs(vm);
}

void vcpu_call(struct vm *vm, const struct guest_call *call, int privileged)
{
    *vcpu_regs(vm) = (struct kvm_regs){.rip = TRAMPOLINE_ADDR,
                                       .rsp = call->rsp,
                                       .rflags = USER_FLAGS,
                                       .rdi = call->arg[0],
                                       .rsi = call->arg[1],
                                       .r11 = call->arg[2],
                                       .r12 = call->arg[3],
                                       .r8 = call->arg[4],
                                       .r9 = call->arg[5],
                                       .r10 = call->function,
                                       .rbx = call->fs_base,
                                       .rbp = call->gs_base};
    vm->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    if (privileged) {
        vm->run->s.regs.sregs = vm->sregs;
        forget_events(vm);
    }
}

void vcpu_resume(struct vm *vm, const struct kvm_regs *r)
{
    struct kvm_sregs *s = &vm->run->s.regs.sregs;
    *vcpu_regs(vm) = *r;
    s->cs = vm->sregs.cs;
    s->ss = vm->sregs.ss;
    vm->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    forget_events(vm);
}

void vcpu_leave_exception(struct vm *vm, uint64_t rip, uint64_t rsp, uint64_t rflags)
{
    struct kvm_regs *r = vcpu_regs(vm);
    r->rip = rip;
    r->rsp = rsp;
    r->rflags = rflags;
    vm->run->s.regs.sregs.cs = vm->sregs.cs;
    vm->run->s.regs.sregs.ss = vm->sregs.ss;
    vm->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    vcpu_set_sregs(vm);
}

void vcpu_return(struct vm *vm, uint64_t rax, uint64_t rdx)
{
    vcpu_regs(vm)->rax = rax;
    vcpu_regs(vm)->rdx = rdx;
    vm->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
}

void vcpu_step_over(struct vm *vm, const struct guestmem *gm, uint64_t rax)
{
    static const uint8_t out[] = {0xe7, PORT_HOST_CALL};
    struct kvm_regs *r = vcpu_regs(vm);
    uint64_t rip = r->rip;
    const uint8_t *at = guest_view(gm, rip, sizeof(out));
    int before = at && memcmp(at, out, sizeof(out)) == 0;
    vm_complete_io(vm);
    if (before && r->rip == rip)
        r->rip += sizeof(out);
    r->rax = rax;
    vm->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
}
