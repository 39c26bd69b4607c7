/* boot.c: from a program file to a frozen machine (skerry_boot in skerry.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image_far.h"
#include "linker.h"
#include "memory.h"
#include "paging.h"
#include "paused.h"
#include "remains.h"
#include "request.h"
#include "run.h"
#include "snapshot.h"
#include "stack.h"
#include "storage.h"
#include "stubs.h"
#include "sys_far.h"
#include "vdso.h"
#include "warmup.h"

#define START_UP "start-up"

/* A machine that boots, with what lives only so long. */
struct boot {
    struct machine machine;
    struct process process;
    struct program_facts facts;
    struct program_counters counters;
    struct image image;
    struct linker linker;
    struct missing missing;
    struct storage_call call;
    int fd;
};

static int parse(struct boot *b, const struct skerry_boot_options *o,
                 struct skerry_error *err)
{
    const struct layout *l = &b->machine.mem.layout;
    int ret = image_parse(&b->image, o->elf, o->elf_len, l, PIE_BASE, err);
    if (ret < 0)
        return ret;
    if (b->image.interpreter)
        b->machine.files.missing = &b->missing;
    return linker_find(&b->linker, &b->image, l, o->opener, b->machine.files.who,
                       clock_now() + o->boot_ns, err);
}

static int describe(struct boot *b, const struct skerry_boot_options *o,
                    struct skerry_error *err)
{
    uint64_t shm = o->shm ? o->shm->size : 0;
    snprintf(b->facts.name, sizeof(b->facts.name), "%s", o->name);
    b->facts.is_storage = !!o->is_storage;
    b->facts.debug = !!o->debug;
    b->facts.max_memory = o->max_memory;
    b->facts.max_request_memory = o->max_request_memory;
    if (strlen(o->directory) >= DIRECTORY_MAX)
        return skerry_refuse(err, ENAMETOOLONG, "current_working_directory",
                             "expected at most %d bytes", DIRECTORY_MAX - 1);
    b->facts.ephemeral = b->machine.ephemeral = !o->keeps_state;
    b->facts.control_ephemeral = !!o->control_ephemeral;
    snprintf(b->facts.arg, sizeof(b->facts.arg), "%s", o->arg ? o->arg : "");
    snprintf(b->facts.arg_header, sizeof(b->facts.arg_header), "%s",
             o->arg_header ? o->arg_header : "");
    if (layout_make(&b->machine.mem.layout, o->max_memory, shm) < 0)
        return skerry_refuse(err, EINVAL, "max_memory", "expected 8 MB to 4 GB");
    return parse(b, o, err);
}

static int make_memory(struct boot *b, const struct skerry_boot_options *o,
                       struct skerry_error *err)
{
    struct guestmem *mem = &b->machine.mem;
    b->fd = memory_create(b->facts.name, mem->layout.slot_size, err);
    if (b->fd < 0)
        return b->fd;
    mem->shm = o->shm ? o->shm->at : NULL;
    int ret = memory_map(b->fd, mem->layout.slot_size, MAP_LIVE, &mem->base, err);
    if (ret == 0 && o->hugepages)
        madvise(mem->base, mem->layout.slot_size, MADV_HUGEPAGE);
    return ret;
}

static int fill_memory(struct boot *b, const struct skerry_boot_options *o,
                       const struct kvm *kvm, int64_t *rsp, struct skerry_error *err)
{
    struct guestmem *mem = &b->machine.mem;
    paging_build(mem->base, &mem->layout);
    stubs_install(mem->base, kvm->ring0_stub);
    if (!kvm->ring0_stub)
        paging_protect(mem->base, &mem->layout, SYSCALL_STUB_ADDR, PAGE_SIZE,
                       ACCESS_READ | ACCESS_EXECUTE, 0);
    vdso_install(mem->base, &mem->layout, kvm->has_clock ? &kvm->vdso : NULL);
    image_load(&b->image, o->elf, mem->base, &mem->layout);
    linker_load(&b->linker, mem->base, &mem->layout);
    process_init(&b->process, b->image.end, mem->layout.program.end);
    space_init(&b->machine.space, o->address_space, mem->layout.far_tables.begin);
    if (image_load_far(&b->image, o->elf, mem) < 0)
        return skerry_refuse(err, ENOMEM, "load",
                             "no memory for the program: raise max_memory");
    memcpy(b->process.files.directory, o->directory, strlen(o->directory) + 1);
    request_describe(&b->machine);
    *rsp = stack_build(mem, &b->image, o);
    if (*rsp < 0)
        return skerry_refuse(err, E2BIG, "arguments",
                             "arguments and environment are too long");
    return 0;
}

static int prepare(struct boot *b, const struct skerry_boot_options *o,
                   struct skerry_error *err)
{
    struct machine *m = &b->machine;
    int64_t rsp = 0;
    struct kvm *kvm = kvm_get(err);
    int ret = kvm ? describe(b, o, err) : -ENODEV;
    if (ret == 0)
        ret = make_memory(b, o, err);
    if (ret == 0)
        ret = fill_memory(b, o, kvm, &rsp, err);
    if (ret == 0)
        ret = vm_open(&m->vm, kvm, &m->mem, 0, err);
    if (ret == 0)
        ret = machine_watch(m, err);
    if (ret == 0)
        ret = trace_open(o->trace, b->facts.is_storage, &m->trace, err);
    if (ret < 0)
        return ret;
    vcpu_start(&m->vm, b->image.start, (uint64_t)rsp);
    return 0;
}

/* Leaves what the caller wants to look at. That it cannot does not make things worse.
 */
static void leave_remains(struct machine *m, const struct skerry_boot_options *o)
{
    struct skerry_error err;
    if (m->exited && m->exit_status == 0)
        return; /* what succeeded has no place where it failed */
    if (o->remains && remains_open(m, o->shm, o->remains, &err) == 0)
        remains_keep(*o->remains, m);
}

static int explain(struct boot *b, const struct skerry_boot_options *o,
                   struct skerry_error *err)
{
    struct machine *m = &b->machine;
    char text[MISSING_TEXT];
    if (clock_now() >= m->deadline)
        return skerry_refuse(err, ETIMEDOUT, START_UP,
                             "main did not reach wait_for_requests() within %.3g s: "
                             "stopped%s",
                             (double)o->boot_ns / 1e9, remains_place(m).text);
    if (o->exit_status && m->exited)
        *o->exit_status = m->exit_status;
    if (m->exited)
        return skerry_refuse(err, EPROTO, START_UP,
                             "main ended (%s) without wait_for_requests()%s", m->reason,
                             missing_explain(&b->missing, text));
    return skerry_refuse(err, EPROTO, START_UP, "%s", m->reason);
}

/* The program waits: what its clones begin with is noted, also what it has done by then
 * to requests that nobody has made. */
static int wait(struct boot *b, const struct skerry_boot_options *o,
                struct skerry_error *err)
{
    struct machine *m = &b->machine;
    int ret = machine_freeze_registers(m, err);
    if (ret == 0 && paused_waits(m))
        paused_freeze(m);
    if (ret == 0 && o->is_storage && far_fill(m) < 0)
        ret = skerry_refuse(err, ENOMEM, "freeze",
                            "a storage program has all of its memory from the start, "
                            "and has mapped more than max_memory: raise it, or map "
                            "with PROT_NONE");
    if (ret == 0 && o->warmup_requests && !o->is_storage)
        ret = warmup_run(m, o, &b->call, err);
    return ret;
}

static int start_up(struct boot *b, const struct skerry_boot_options *o,
                    struct skerry_error *err)
{
    struct machine *m = &b->machine;
    enum stop stop;
    m->booting = 1;
    m->deadline = clock_now() + o->boot_ns;
    while ((stop = machine_run(m, 0)) == STOP_STORAGE)
        if (storage_answer(o->storage, &b->call, m, 0) == STOP_FAILED)
            break;
    console_flush(m->console);
    int ret = stop == STOP_WAITING ? wait(b, o, err) : explain(b, o, err);
    if (ret < 0)
        leave_remains(m, o);
    return ret;
}

static void wire(struct boot *b, const struct skerry_boot_options *o,
                 struct skerry_console *console)
{
    struct machine *m = &b->machine;
    enum opener_who who = o->is_storage ? OPENER_STORAGE : OPENER_START;
    files_init(&m->files, o->opener, who, NULL);
    b->fd = -1;
    m->vm.fd = m->vm.vcpu_fd = -1;
    m->process = &b->process;
    machine_wire(m);
    m->facts = &b->facts;
    m->counters = &b->counters;
    m->console = console_share(console);
}

int skerry_boot(const struct skerry_boot_options *o, struct skerry_console *console,
                struct skerry_snapshot **out, struct skerry_error *err)
{
    struct boot *b = calloc(1, sizeof(*b));
    if (!b)
        return skerry_fail(err, "boot");
    wire(b, o, console);
    int ret = prepare(b, o, err);
    if (ret == 0)
        ret = start_up(b, o, err);
    if (ret == 0) {
        ret = snapshot_freeze(&b->machine, b->fd, o->shm, out, err);
    } else {
        machine_close(&b->machine);
        if (b->fd >= 0)
            close(b->fd);
    }
    linker_close(&b->linker);
    free(b);
    return ret;
}

int skerry_check_program(const uint8_t *elf, size_t elf_len, uint64_t max_memory,
                         struct skerry_error *err)
{
    struct layout layout;
    struct image image;
    if (layout_make(&layout, max_memory, 0) < 0)
        return skerry_refuse(err, EINVAL, "max_memory", "expected 8 MB to 4 GB");
    return image_parse(&image, elf, elf_len, &layout, PIE_BASE, err);
}
