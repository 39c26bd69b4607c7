/* snapshot.c: a frozen machine, and the cheap copies made from it.
 *
 * A copy shares the frozen pages until it writes; a write gives it its own page and
 * notes the page number. Reset walks that list, so its cost follows what the request
 * dirtied, not how big the guest is. */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "home.h"
#include "memory.h"
#include "near.h"
#include "net.h"
#include "x86.h"

/* A longer list is dropped, not kept: copying 256 pages costs about 20 us, and a
 * program that writes more pays for new faults only when it does. */
#define KEEP_PAGES 256

#define XSTATE_BV_AT 512 /* in an XSAVE area: SDM volume 1, 13.4.2 */

struct skerry_snapshot *snapshot_share(struct skerry_snapshot *s)
{
    __atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
    return s;
}

void skerry_snapshot_close(struct skerry_snapshot *s)
{
    if (!s || __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL))
        return;
    memory_unmap(s->frozen, s->layout.slot_size);
    regexes_close(&s->regexes);
    if (s->fd >= 0)
        close(s->fd);
    files_release(&s->files);
    objects_restore(&s->objects, NULL);
    space_close(&s->space);
    skerry_shm_close(s->shm);
    tasks_close(s->tasks);
    threads_close(s->threads);
    free(s);
}

/* The trampoline restores this image before every call. */
int machine_freeze_registers(struct machine *m, struct skerry_error *err)
{
    struct kvm_xsave xsave;
    if (ioctl(m->vm.vcpu_fd, KVM_GET_XSAVE, &xsave) < 0)
        return skerry_fail(err, "KVM_GET_XSAVE");
    uint8_t *page = m->mem.base + XSAVE_ADDR;
    memcpy(page, &xsave, PAGE_SIZE);
    uint64_t features;
    memcpy(&features, page + XSTATE_BV_AT, sizeof(features));
    features &= m->vm.kvm->xcr0;
    memcpy(page + XSTATE_BV_AT, &features, sizeof(features));
    m->facts->fs_base = m->vm.run->s.regs.sregs.fs.base;
    m->facts->gs_base = m->vm.run->s.regs.sregs.gs.base;
    home_waits(m);
    return 0;
}

/* Before (*m->process) is taken: this changes it. */
static int freeze_files(struct machine *m, struct files *to, struct skerry_error *err)
{
    int ret = files_freeze(to, &m->files, &m->process->files, m->deadline);
    return ret < 0 ? skerry_refuse(err, -ret, "open files", "%s", strerror(-ret)) : 0;
}

static int freeze_threads(struct machine *m, struct skerry_error *err)
{
    int ret = home_freeze(m);
    return ret < 0 ? skerry_refuse(err, EPROTO, "threads", "%s", m->reason) : 0;
}

static int map_frozen(struct skerry_snapshot *s, struct skerry_error *err)
{
    if (s->facts.is_storage)
        return 0;
    int ret = memory_seal(s->fd, err);
    if (ret < 0)
        return ret;
    return memory_map(s->fd, s->layout.slot_size, MAP_FROZEN, &s->frozen, err);
}

int snapshot_freeze(struct machine *m, int fd, struct skerry_shm *shm,
                    struct skerry_snapshot **out, struct skerry_error *err)
{
    struct skerry_snapshot *s = calloc(1, sizeof(*s));
    int ret = s ? 0 : skerry_fail(err, "freeze");
    struct files files;
    files_init(&files, -1, OPENER_START, NULL);
    if (ret == 0)
        ret = freeze_threads(m, err);
    if (ret == 0)
        ret = freeze_files(m, &files, err);
    if (s) {
        near_freeze(m);
        *s = (struct skerry_snapshot){.references = 1,
                                      .fd = fd,
                                      .layout = m->mem.layout,
                                      .process = *m->process,
                                      .space = m->space,
                                      .files = files,
                                      .facts = *m->facts,
                                      .counters = *m->counters,
                                      .tasks = m->tasks,
                                      .threads = m->threads,
                                      .shm = shm_share(shm)};
        s->process.alarm = (struct alarm){0}; /* time stands still from here on */
        m->tasks = NULL;
        m->threads = NULL;
        m->space = (struct space){0};
        s->space.changed = 0;
        regexes_freeze(&m->regexes, &s->regexes);
        objects_freeze(&m->objects, &s->objects);
    }
    machine_close(m);
    if (ret == 0)
        ret = map_frozen(s, err);
    if (ret < 0) {
        if (!s)
            close(fd);
        skerry_snapshot_close(s);
        return ret;
    }
    *out = s;
    return 0;
}

static int open_memory(struct machine *m, struct skerry_snapshot *s, int live,
                       struct skerry_error *err)
{
    m->mem.layout = s->layout;
    m->mem.shm = s->shm ? s->shm->at : NULL;
    int ret = memory_map(s->fd, s->layout.slot_size, live ? MAP_LIVE : MAP_CLONE,
                         &m->mem.base, err);
    if (ret < 0)
        return ret;
    m->mem.dirty = &m->dirty;
    if (space_copy(&m->space, &s->space) < 0)
        return skerry_refuse(err, ENOMEM, "far ranges", "out of memory");
    ret = dirty_open(&m->dirty, (uint32_t)(s->layout.slot_size >> PAGE_SHIFT));
    return ret < 0 ? skerry_refuse(err, ENOMEM, "dirty list", "out of memory") : 0;
}

int machine_open(struct machine *m, struct skerry_snapshot *s, int live,
                 struct process *process, struct skerry_console *console,
                 struct skerry_error *err)
{
    memset(m, 0, sizeof(*m));
    m->vm.fd = m->vm.vcpu_fd = -1;
    m->console = console_share(console);
    m->facts = &s->facts;
    m->ephemeral = s->facts.ephemeral;
    m->counters = &s->counters;
    m->process = process;
    machine_wire(m);
    files_init(&m->files, -1, live ? OPENER_STORAGE : OPENER_REQUEST, &s->files);
    regexes_restore(&m->regexes, &s->regexes);
    struct kvm *kvm = kvm_get(err);
    int ret = kvm ? open_memory(m, s, live, err) : -ENODEV;
    if (ret == 0 && threads_restore(&m->threads, s->threads) < 0)
        ret = skerry_refuse(err, ENOMEM, "threads", "out of memory");
    if (ret == 0 && objects_restore(&m->objects, &s->objects) < 0)
        ret = skerry_refuse(err, ENOMEM, "pipes", "out of memory");
    if (ret == 0)
        ret = vm_open(&m->vm, kvm, &m->mem, 1, err);
    m->dirty.ring = m->vm.ring;
    return ret < 0 ? ret : machine_watch(m, err);
}

void machine_close(struct machine *m)
{
    watch_remove(&m->watch);
    vm_close(&m->vm);
    memory_unmap(m->mem.base, m->mem.layout.slot_size);
    files_drop(&m->files);
    dirty_close(&m->dirty);
    bounce_drop(&m->mem);
    space_close(&m->space);
    fields_release(&m->exchange.sent);
    fields_release(&m->exchange.answered);
    free(m->result.data);
    if (m->booting)
        tasks_close(m->tasks);
    regexes_restore(&m->regexes, &(struct regexes){0});
    objects_restore(&m->objects, NULL);
    net_close(&m->net);
    free(m->fetch);
    trace_close(m->trace);
    threads_close(m->threads);
    skerry_console_close(m->console);
    memset(m, 0, sizeof(*m));
    m->vm.fd = m->vm.vcpu_fd = -1;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Gives the pages back to the kernel, in runs; the next touch finds the frozen ones. */
static int drop_pages(struct machine *m)
{
    struct dirty *d = &m->dirty;
    qsort(d->pages, d->count, sizeof(*d->pages), by_number);
    for (uint32_t i = 0, n; i < d->count; i += n) {
        for (n = 1; i + n < d->count && d->pages[i + n] == d->pages[i] + n;)
            n++;
        uint8_t *at = m->mem.base + d->pages[i] * PAGE_SIZE;
        if (madvise(at, n * PAGE_SIZE, MADV_DONTNEED) < 0)
            return -errno;
    }
    dirty_forget(d);
    return vm_rearm_dirty(&m->vm);
}

static void copy_pages(struct machine *m, const uint8_t *frozen)
{
    for (uint32_t i = 0; i < m->dirty.count; i++) {
        uint64_t at = m->dirty.pages[i] * PAGE_SIZE;
        memcpy(m->mem.base + at, frozen + at, PAGE_SIZE);
    }
}

static void reset_exchange(struct exchange *x)
{
    fields_clear(&x->sent);
    fields_clear(&x->answered);
    x->request = NULL;
    x->sent_ready = x->status = 0;
    x->body = NULL;
    x->body_len = x->content_type_len = 0;
    x->caching = (struct caching){0};
    x->stream.function = 0;
}

/* The page tables themselves are on the list of pages. */
static int reset_space(struct machine *m, const struct skerry_snapshot *s)
{
    if (!m->space.changed)
        return 0;
    m->touched = m->stale_tables = 1;
    return space_copy(&m->space, &s->space);
}

int machine_keep(struct machine *m)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    dirty_collect(&m->dirty);
    if (m->dirty.failed)
        return -ENOMEM;
    m->dirty.kept = m->dirty.count;
    objects_keep(&m->objects);
    m->is_kept = 1;
    page->data_len = page->request_changed = 0;
    reset_exchange(&m->exchange);
    machine_begin_call(m);
    return 0;
}

int machine_reset(struct machine *m, const struct skerry_snapshot *s)
{
    dirty_collect(&m->dirty);
    int pages = (int)m->dirty.count;
    if (m->dirty.failed)
        return -ENOMEM;
    machine_begin_call(m);
    if (reset_space(m, s) < 0)
        return -ENOMEM;
    if (m->touched)
        *m->process = s->process;
    m->touched = 0;
    if (m->files.count)
        files_drop(&m->files);
    net_close(&m->net);
    if (m->regexes.changed)
        regexes_restore(&m->regexes, &s->regexes);
    if (m->threads && threads_restore(&m->threads, s->threads) < 0)
        return -ENOMEM;
    m->tick = 0;
    machine_wake(m);
    machine_answered(m); /* it may have left a wait otherwise than by its answer */
    if (m->objects.changed && objects_restore(&m->objects, &s->objects) < 0)
        return -ENOMEM;
    m->is_kept = m->has_next = 0;
    m->ephemeral = m->facts->ephemeral;
    m->reason[0] = 0;
    reset_exchange(&m->exchange);
    if (m->trace)
        trace_leave_all(m->trace, &m->mem);
    if (m->dirty.count <= KEEP_PAGES) {
        copy_pages(m, s->frozen);
        m->dirty.kept = m->dirty.count;
        return pages;
    }
    int ret = drop_pages(m);
    return ret < 0 ? ret : pages;
}

uint64_t skerry_unknown_syscalls(const struct skerry_snapshot *s)
{
    return __atomic_load_n(&s->counters.unknown_syscalls, __ATOMIC_RELAXED);
}

uint64_t skerry_body_limit(const struct skerry_snapshot *s)
{
    return s->layout.inbox.end - s->layout.inbox.begin - 1;
}
