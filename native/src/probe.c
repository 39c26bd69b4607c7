/* probe.c: what this machine's KVM does (skerry_probe in skerry.h).
 *
 * No list of KVMs: a small program is run, once with each system-call stub until one
 * works, and serves requests that look for what the one before left behind. */
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi.h"
#include "kvm.h"
#include "layout.h"
#include "probe_clock.h"
#include "watchdog.h"
#include "x86.h"

#define TEXT(x) #x
#define VALUE(x) TEXT(x)
#define TIMED_CALLS 51

/* Its callback answers 200, or 500 if memory or xmm0 is not as it was at start-up; then
 * it changes both. For "/b" it also writes to 300 pages, more than reset keeps a list
 * of. */
__asm__(
    ".pushsection .rodata\n"
    "probe_begin:\n"
    "  lea probe_get(%rip), %rsi\n"
    "  mov $1, %edi\n"
    "  mov $" VALUE(
        KVM_API_REGISTER_FUNC) ", %eax\n"
                               "  out %eax, $0\n"
                               "  mov $0x1002, %edi\n" /* ARCH_SET_FS, to try the stub
                                                          and new segments */
                               "  xor %esi, %esi\n"
                               "  mov $158, %eax\n"
                               "  syscall\n"
                               "  mov $" VALUE(
                                   KVM_API_WAIT_FOR_REQUESTS) ", %eax\n"
                                                              "  out %eax, $0\n"
                                                              "  ud2\n"
                                                              "probe_get:\n"
                                                              "  movzbl 1(%rdi), "
                                                              "%r10d\n"
                                                              "  mov $200, %edi\n"
                                                              "  movq %xmm0, %rax\n"
                                                              "  or probe_word(%rip), "
                                                              "%rax\n"
                                                              "  or -8192(%rsp), %rax\n"
                                                              "  jz 1f\n"
                                                              "  mov $500, %edi\n"
                                                              "1:incq "
                                                              "probe_word(%rip)\n"
                                                              "  pcmpeqd %xmm0, %xmm0\n"
                                                              "  movq $1, -8192(%rsp)\n"
                                                              "  cmp $'b', %r10b\n"
                                                              "  jne 3f\n"
                                                              "  mov $300, %ecx\n"
                                                              "  mov %rsp, %rdx\n"
                                                              "2:sub $4096, %rdx\n"
                                                              "  movq $1, (%rdx)\n"
                                                              "  loop 2b\n"
                                                              "3:xor %esi, %esi\n"
                                                              "  xor %edx, %edx\n"
                                                              "  xor %ecx, %ecx\n"
                                                              "  xor %r8d, %r8d\n"
                                                              "  xor %r9d, %r9d\n"
                                                              "  mov $" VALUE(
                                                                  KVM_API_BACKEND_RESPONSE) ", %eax\n"
                                                                                            "  out %eax, $0\n"
                                                                                            "  ud2\n"
                                                                                            "probe_word: .quad 0\n"
                                                                                            "probe_end:\n"
                                                                                            ".popsection\n");
extern const uint8_t probe_begin[], probe_end[];

struct probe_file {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    uint8_t code[512];
};

static void make_file(struct probe_file *f)
{
    memset(f, 0, sizeof(*f));
    memcpy(f->header.e_ident, ELFMAG, SELFMAG);
    f->header.e_ident[EI_CLASS] = ELFCLASS64;
    f->header.e_ident[EI_DATA] = ELFDATA2LSB;
    f->header.e_type = ET_EXEC;
    f->header.e_machine = EM_X86_64;
    f->header.e_phoff = sizeof(f->header);
    f->header.e_phentsize = sizeof(f->segment);
    f->header.e_phnum = 1;
    f->header.e_entry = PIE_BASE + offsetof(struct probe_file, code);
    f->segment = (Elf64_Phdr){.p_type = PT_LOAD,
                              .p_flags = PF_R | PF_W | PF_X,
                              .p_vaddr = PIE_BASE,
                              .p_filesz = sizeof(*f),
                              .p_memsz = sizeof(*f)};
    memcpy(f->code, probe_begin, (size_t)(probe_end - probe_begin));
}

static int boot(struct skerry_console *console, struct skerry_snapshot **out,
                struct skerry_error *err)
{
    struct probe_file file;
    const char *argv[] = {"probe"};
    make_file(&file);
    struct skerry_boot_options options = {.name = "probe",
                                          .elf = (const uint8_t *)&file,
                                          .elf_len = sizeof(file),
                                          .argv = argv,
                                          .argc = 1,
                                          .max_memory = MAX_MEMORY_MIN,
                                          .max_request_memory = MAX_MEMORY_MIN,
                                          .boot_ns = 5000000000UL,
                                          .opener = -1,
                                          .directory = "/"};
    return skerry_boot(&options, console, out, err);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Serves and resets; returns the status, or -1. */
static int one_request(struct skerry_vm *vm, const char *url, uint64_t *ns)
{
    const struct skerry_reply *reply = skerry_vm_replies(vm);
    uint64_t begin = clock_now();
    skerry_add(vm, "GET", url, "", "", "", 0);
    skerry_run(vm);
    *ns = clock_now() - begin;
    if (reply->flags & SKERRY_DISCARD || skerry_reset(vm) < 0)
        return -1;
    return reply->status;
}

/* Few pages, many pages, few again: reset must hold whatever way it takes. */
static void try_reset(struct skerry_vm *vm, struct skerry_kvm_facts *facts)
{
    uint64_t ns[TIMED_CALLS], unused;
    int clean =
        one_request(vm, "/", &unused) == 200 && one_request(vm, "/b", &unused) == 200;
    for (int i = 0; i < TIMED_CALLS; i++)
        clean &= one_request(vm, "/", &ns[i]) == 200;
    qsort(ns, TIMED_CALLS, sizeof(*ns), by_value);
    facts->reset_holds = clean && skerry_differing_pages(vm) == 0;
    facts->exit_ns = (uint32_t)ns[TIMED_CALLS / 2];
}

static int probe_with(struct skerry_console *console, struct skerry_kvm_facts *facts,
                      struct skerry_error *err)
{
    struct skerry_snapshot *snapshot;
    struct skerry_vm *vm;
    const struct skerry_limits limits = {.request_ns = 5000000000UL};
    int ret = boot(console, &snapshot, err);
    if (ret < 0)
        return ret;
    ret = skerry_vm_open(snapshot, NULL, &limits, console, &vm, err);
    if (ret == 0) {
        try_reset(vm, facts);
        skerry_vm_close(vm);
    }
    skerry_snapshot_close(snapshot);
    return ret;
}

/* Hardware, its emulation, software: the first with which the probe program runs. */
static const struct {
    int ring0_stub;
    uint8_t tss_type;
} kinds[] = {
    {1, SEG_TYPE_TSS_BUSY},
    {1, SEG_TYPE_TSS_AVAILABLE},
    {0, SEG_TYPE_TSS_BUSY},
};

static int probe(struct kvm *kvm, struct skerry_kvm_facts *facts,
                 struct skerry_error *err)
{
    struct skerry_console *console = skerry_console_open();
    int ret = console ? -EPROTO : skerry_fail(err, "probe");
    for (size_t i = 0; console && i < sizeof(kinds) / sizeof(*kinds) && ret < 0; i++) {
        kvm->ring0_stub = kinds[i].ring0_stub;
        kvm->tss_type = kinds[i].tss_type;
        ret = probe_with(console, facts, err);
    }
    skerry_console_close(console);
    if (ret == 0)
        probe_clock(kvm);
    facts->has_clock = kvm->has_clock;
    facts->ring0_stub = kvm->ring0_stub;
    return ret;
}

static int look(struct skerry_kvm_facts *facts, struct skerry_error *err)
{
    memset(facts, 0, sizeof(*facts));
    struct kvm *kvm = kvm_get(err);
    if (!kvm)
        return -ENODEV;
    facts->api_version = ioctl(kvm->fd, KVM_GET_API_VERSION, 0);
    facts->xcr0 = kvm->xcr0;
    facts->dirty_ring =
        (uint32_t)ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING);
    facts->sync_regs = (uint32_t)ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);
    if (kvm_missing(kvm, facts->missing, sizeof(facts->missing)))
        return skerry_refuse(err, ENOSYS, "probe", "this KVM lacks %s", facts->missing);
    return probe(kvm, facts, err);
}

int skerry_probe(struct skerry_kvm_facts *facts, struct skerry_error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct skerry_kvm_facts known;
    static int ready;
    pthread_mutex_lock(&lock);
    int ret = ready ? 0 : look(&known, err);
    ready = ret == 0;
    *facts = known;
    pthread_mutex_unlock(&lock);
    return ret;
}
