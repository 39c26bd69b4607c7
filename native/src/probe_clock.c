/* probe_clock.c: see probe_clock.h. A guest runs the kernel's code on the kernel's
 * pages. That takes a KVM that shows it the pages and this machine's time stamp
 * counter, and a processor with the instructions that the kernel has chosen: tried, not
 * looked up. */
#include "probe_clock.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "abi.h"
#include "memory.h"
#include "paging.h"
#include "stubs.h"
#include "vcpu.h"
#include "vdso.h"
#include "watchdog.h"

#define TRIES 3
#define TRY_NS 1000000000UL
#define RESULT_ADDR (PROGRAM_LOW + 0x800)

/* It calls rax(CLOCK_MONOTONIC, rsp), and then says so as nothing else does. */
static const uint8_t program[] = {0xbf, CLOCK_MONOTONIC,
                                  0,    0,
                                  0, /* mov $, %edi */
                                  0x48, 0x89,
                                  0xe6,                  /* mov %rsp, %rsi */
                                  0xff, 0xd0,            /* call *%rax */
                                  0xe6, PORT_HOST_CALL}; /* out %al, $ */

struct trial {
    struct guestmem mem;
    struct vm vm;
    struct watch watch;
    int fd;
};

static int make_memory(struct trial *t)
{
    struct guestmem *mem = &t->mem;
    int ret = layout_make(&mem->layout, MAX_MEMORY_MIN, 0);
    if (ret == 0)
        ret = t->fd = memory_create("clock", mem->layout.slot_size, NULL);
    if (ret >= 0)
        ret = memory_map(t->fd, mem->layout.slot_size, MAP_LIVE, &mem->base, NULL);
    return ret;
}

static int fill(struct trial *t, const struct kvm *kvm)
{
    uint8_t *base = t->mem.base;
    const struct layout *l = &t->mem.layout;
    paging_build(base, l);
    stubs_install(base, kvm->ring0_stub);
    vdso_install(base, l, &kvm->vdso);
    paging_protect(base, l, PROGRAM_LOW, PAGE_SIZE,
                   ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE, 0);
    memcpy(base + PROGRAM_LOW, program, sizeof(program));
    return 0;
}

static int make(struct trial *t, struct kvm *kvm)
{
    int ret = make_memory(t);
    if (ret == 0)
        ret = fill(t, kvm);
    if (ret == 0)
        ret = vm_open(&t->vm, kvm, &t->mem, 0, NULL);
    return ret < 0 ? ret : watch_add(&t->watch, t->vm.run);
}

static void drop(struct trial *t)
{
    watch_remove(&t->watch);
    vm_close(&t->vm);
    memory_unmap(t->mem.base, t->mem.layout.slot_size);
    if (t->fd >= 0)
        close(t->fd);
}

static uint64_t nanoseconds(const uint8_t *at)
{
    struct timespec t;
    memcpy(&t, at, sizeof(t));
    return (uint64_t)t.tv_sec * 1000000000UL + (uint64_t)t.tv_nsec;
}

/* Runs until the guest or the watchdog stops it. */
static int run_on(struct trial *t, uint64_t deadline)
{
    int ret;
    watch_begin(&t->watch, deadline);
    do {
        ret = ioctl(t->vm.vcpu_fd, KVM_RUN, 0);
        t->vm.run->kvm_dirty_regs = 0;
    } while (ret < 0 && errno == EINTR && clock_now() < deadline);
    watch_end(&t->watch);
    return ret;
}

/* Tells if the guest has read a time that lies between two of ours, without a system
 * call. */
static int reads_right(struct trial *t)
{
    const struct kvm_run *run = t->vm.run;
    uint64_t begin = clock_now();
    vcpu_start(&t->vm, PROGRAM_LOW, RESULT_ADDR);
    vcpu_regs(&t->vm)->rax = VDSO_CLOCK_GETTIME;
    int ret = run_on(t, begin + TRY_NS);
    uint64_t read = nanoseconds(t->mem.base + RESULT_ADDR);
    return ret == 0 && run->exit_reason == KVM_EXIT_IO &&
           run->io.port == PORT_HOST_CALL && read >= begin && read <= clock_now();
}

void probe_clock(struct kvm *kvm)
{
    struct trial t = {.fd = -1, .vm = {.fd = -1, .vcpu_fd = -1}};
    kvm->has_clock = hostvdso_function(&kvm->vdso, "__vdso_clock_gettime") != 0;
    if (!kvm->has_clock)
        return;
    int ret = make(&t, kvm);
    for (int i = 0; i < TRIES; i++)
        ret = ret == 0 && !reads_right(&t) ? -EPROTO : ret;
    drop(&t);
    kvm->has_clock = ret == 0;
}
