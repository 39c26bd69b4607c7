/* floor.c: the smallest guest there is, and the cost of leaving it.
 *
 * A KVM guest in ring 3 that does nothing but `out`, so that every KVM_RUN is one
 * entry and one exit to user space. No request can cost less than one of these:
 * the benchmarks tell their figures as multiples of it. */

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Guest memory: one slot at 0, mapped by one leaf of 2 MiB that ring 3 may use. */
enum {
    PML4 = 0x1000,
    PDPT = 0x2000,
    DIRECTORY = 0x3000,
    TSS = 0x5000,
    CODE = 0x6000,
    MEMORY = 0x200000,
};

enum {
    PORT = 0x10,
    IOPL_3 = 0x3002,    /* with the bit that is always 1 */
    PRESENT_WRITE_USER_ACCESSED = 0x27,
    LEAF_DIRTY = 0xC0,  /* page size and dirty: nothing is left for the CPU to set */
    IO_BITMAP = 0x68,   /* right behind the 64-bit TSS */
    IO_PORTS = 256,
    CPUID_ENTRIES = 256,
};

struct floor {
    int kvm, vm, vcpu;
    uint8_t *memory;
    struct kvm_run *run;
    size_t run_size;
};

/* Ends the machine (f) and frees it. NULL and half-made ones are fine. */
void floor_close(struct floor *f)
{
    if (!f)
        return;
    if (f->run)
        munmap(f->run, f->run_size);
    if (f->memory)
        munmap(f->memory, MEMORY);
    if (f->vcpu >= 0)
        close(f->vcpu);
    if (f->vm >= 0)
        close(f->vm);
    if (f->kvm >= 0)
        close(f->kvm);
    free(f);
}

static void put64(struct floor *f, uint64_t addr, uint64_t value)
{
    memcpy(f->memory + addr, &value, sizeof(value));
}

/* Ring 3 may do `out` by the I/O bitmap and by IOPL: a software KVM drops IOPL, and
 * QEMU's emulated CPU looks at the bitmap of no TSS that is marked busy, which one
 * that is loaded must be on Intel's. */
static void write_tss(struct floor *f)
{
    uint16_t offset = IO_BITMAP;

    memcpy(f->memory + TSS + 0x66, &offset, sizeof(offset));
    f->memory[TSS + IO_BITMAP + IO_PORTS / 8] = 0xFF; /* the bitmap's end mark */
}

static void write_guest(struct floor *f)
{
    static const uint8_t code[] = {0xE6, PORT, 0xEB, 0xFC}; /* out %al, PORT; jmp */

    put64(f, PML4, PDPT | PRESENT_WRITE_USER_ACCESSED);
    put64(f, PDPT, DIRECTORY | PRESENT_WRITE_USER_ACCESSED);
    put64(f, DIRECTORY, PRESENT_WRITE_USER_ACCESSED | LEAF_DIRTY);
    write_tss(f);
    memcpy(f->memory + CODE, code, sizeof(code));
}

static int make_vm(struct floor *f, const char **step)
{
    *step = "open /dev/kvm";
    f->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (f->kvm < 0)
        return -1;
    *step = "KVM_CREATE_VM";
    f->vm = ioctl(f->kvm, KVM_CREATE_VM, 0);
    return f->vm < 0 ? -1 : 0;
}

static int make_memory(struct floor *f, const char **step)
{
    *step = "mmap of guest memory";
    void *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -1;
    f->memory = memory;
    write_guest(f);

    struct kvm_userspace_memory_region slot = {
        .memory_size = MEMORY,
        .userspace_addr = (uintptr_t)memory,
    };
    *step = "KVM_SET_USER_MEMORY_REGION";
    return ioctl(f->vm, KVM_SET_USER_MEMORY_REGION, &slot);
}

static int make_vcpu(struct floor *f, const char **step)
{
    *step = "KVM_CREATE_VCPU";
    f->vcpu = ioctl(f->vm, KVM_CREATE_VCPU, 0);
    if (f->vcpu < 0)
        return -1;
    *step = "KVM_GET_VCPU_MMAP_SIZE";
    int size = ioctl(f->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < 0)
        return -1;
    *step = "mmap of the vCPU";
    void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE,
                     MAP_SHARED, f->vcpu, 0);
    if (run == MAP_FAILED)
        return -1;
    f->run = run;
    f->run_size = (size_t)size;
    return 0;
}

/* Long mode exists for the guest only if its CPUID says so. */
static int set_cpuid(struct floor *f, const char **step)
{
    size_t size = sizeof(struct kvm_cpuid2) +
                  CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2);
    struct kvm_cpuid2 *cpuid = calloc(1, size);

    *step = "CPUID of the guest";
    if (!cpuid)
        return -1;
    cpuid->nent = CPUID_ENTRIES;
    int ret = ioctl(f->kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
    if (ret == 0)
        ret = ioctl(f->vcpu, KVM_SET_CPUID2, cpuid);
    free(cpuid);
    return ret;
}

static void set_segments(struct kvm_sregs *s)
{
    struct kvm_segment code = {
        .limit = 0xFFFFFFFF, .selector = 0x2B, .type = 11,
        .present = 1, .dpl = 3, .s = 1, .l = 1, .g = 1,
    };
    struct kvm_segment data = code;

    data.selector = 0x23;
    data.type = 3;
    data.l = 0;
    data.db = 1;
    s->cs = code;
    s->ds = s->es = s->fs = s->gs = s->ss = data;
    s->tr = (struct kvm_segment){
        .base = TSS, .limit = IO_BITMAP + IO_PORTS / 8,
        .selector = 0x30, .type = 11, .present = 1,
    };
}

/* 64-bit ring 3 with paging on. There is no IDT: an exception ends in a shutdown. */
static int set_registers(struct floor *f, const char **step)
{
    struct kvm_regs regs = {.rip = CODE, .rsp = MEMORY, .rflags = IOPL_3};
    struct kvm_sregs s;

    *step = "KVM_GET_SREGS";
    if (ioctl(f->vcpu, KVM_GET_SREGS, &s) < 0)
        return -1;
    set_segments(&s);
    s.idt.limit = 0;
    s.cr0 = 0x80050033; /* PG AM WP NE ET MP PE */
    s.cr3 = PML4;
    s.cr4 = 0x20;   /* PAE */
    s.efer = 0x500; /* LME LMA */
    *step = "KVM_SET_SREGS";
    if (ioctl(f->vcpu, KVM_SET_SREGS, &s) < 0)
        return -1;
    *step = "KVM_SET_REGS";
    return ioctl(f->vcpu, KVM_SET_REGS, &regs);
}

/* Does (exits) bare KVM_RUN round trips.
 * Returns 0, or -errno; -EIO for any exit that is not the guest's `out`. */
int floor_exit(struct floor *f, int exits)
{
    for (int done = 0; done < exits;) {
        if (ioctl(f->vcpu, KVM_RUN, 0) < 0) {
            if (errno != EINTR)
                return -errno;
            continue;
        }
        if (f->run->exit_reason != KVM_EXIT_IO || f->run->io.port != PORT)
            return -EIO;
        done++;
    }
    return 0;
}

static int first_exit(struct floor *f, const char **step)
{
    *step = "first KVM_RUN";
    int ret = floor_exit(f, 1);
    errno = -ret;
    return ret;
}

/* Makes the machine and runs it once. The caller ends it with floor_close.
 * Returns NULL when it fails: (*step) names what failed, errno says why. */
struct floor *floor_open(const char **step)
{
    struct floor *f = calloc(1, sizeof(*f));

    *step = "memory for the machine";
    if (!f)
        return NULL;
    f->kvm = f->vm = f->vcpu = -1;
    if (make_vm(f, step) < 0 || make_memory(f, step) < 0 || make_vcpu(f, step) < 0 ||
        set_cpuid(f, step) < 0 || set_registers(f, step) < 0 ||
        first_exit(f, step) < 0) {
        int reason = errno;
        floor_close(f);
        errno = reason;
        return NULL;
    }
    return f;
}
