/* storage.c: see storage.h.
 *
 * The machine works on the memory that the program was frozen in. What the host knows
 * of the program (its break, its mappings) lies in memory shared with it, and with the
 * lock: registers do not live across calls, so nothing else remembers anything. */
#include "storage.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "run.h"

#define MINUS_ONE UINT64_MAX

/* One page or two of a memfd, the same in every process. */
struct control {
    pthread_mutex_t lock;   /* process-shared, robust */
    struct process process; /* under the lock */
};

struct skerry_storage {
    int references;
    struct skerry_snapshot *snapshot;
    struct skerry_console *console;
    struct machine machine; /* under the lock */
    int broken;             /* the vCPU was stopped in the middle: make a new one */
    struct control *control;
    int control_fd;
    uint64_t call_ns;
};

/* One call, from the registers of the caller. */
struct storage_args {
    uint64_t function, count, buffers, dst, dst_len;
    struct guest_buffer in[KVM_API_MAX_BUFFERS];
};

struct skerry_storage *storage_share(struct skerry_storage *s)
{
    if (s)
        __atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
    return s;
}

static void init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(lock, &a);
    pthread_mutexattr_destroy(&a);
}

static int open_control(struct skerry_storage *s, struct skerry_error *err)
{
    uint8_t *at;
    s->control_fd = memory_create("skerry-storage", page_up(sizeof(*s->control)), err);
    if (s->control_fd < 0)
        return s->control_fd;
    int ret =
        memory_map(s->control_fd, page_up(sizeof(*s->control)), MAP_LIVE, &at, err);
    if (ret < 0)
        return ret;
    s->control = (struct control *)(void *)at;
    init_lock(&s->control->lock);
    s->control->process = s->snapshot->process;
    return 0;
}

static int open_machine(struct skerry_storage *s, struct skerry_error *err)
{
    return machine_open(&s->machine, s->snapshot, 1, &s->control->process, s->console,
                        err);
}

int skerry_storage_open(struct skerry_snapshot *snapshot, uint64_t call_ns,
                        struct skerry_console *console, struct skerry_storage **out,
                        struct skerry_error *err)
{
    struct skerry_storage *s = calloc(1, sizeof(*s));
    if (!s)
        return skerry_fail(err, "storage");
    *s = (struct skerry_storage){.references = 1,
                                 .snapshot = snapshot_share(snapshot),
                                 .console = console_share(console),
                                 .call_ns = call_ns,
                                 .control_fd = -1};
    s->machine.vm.fd = s->machine.vm.vcpu_fd = -1;
    int ret = open_control(s, err);
    if (ret == 0)
        ret = open_machine(s, err);
    if (ret < 0) {
        skerry_storage_close(s);
        return ret;
    }
    *out = s;
    return 0;
}

void skerry_storage_close(struct skerry_storage *s)
{
    if (!s || __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL))
        return;
    machine_close(&s->machine);
    if (s->control)
        memory_unmap((uint8_t *)s->control, page_up(sizeof(*s->control)));
    if (s->control_fd >= 0)
        close(s->control_fd);
    skerry_console_close(s->console);
    skerry_snapshot_close(s->snapshot);
    free(s);
}

static int allowed(const struct program_facts *f, uint64_t function)
{
    for (uint32_t i = 0; i < f->allow_count; i++)
        if (f->allow[i] == function)
            return 1;
    return f->allow_count == 0;
}

static struct storage_args take_args(const struct machine *caller)
{
    const struct kvm_regs *r = vcpu_regs(&caller->vm);
    return (struct storage_args){.function = r->rdi,
                                 .count = r->rsi,
                                 .buffers = r->rdx,
                                 .dst = r->rcx,
                                 .dst_len = r->r8};
}

/* Checks what the caller passed. 0, or -EPROTO when it fails the request. */
static int check_args(struct skerry_storage *s, struct machine *caller,
                      struct storage_args *a)
{
    if (!allowed(&s->snapshot->facts, a->function))
        return machine_fail(caller, "storage call: 0x%lx is not on the allow list",
                            (unsigned long)a->function);
    if (guest_read(&caller->mem, a->buffers, a->in, a->count * sizeof(*a->in)) < 0)
        return machine_fail(caller, "storage call: unreadable buffers");
    for (uint64_t i = 0; i < a->count; i++)
        if (!guest_view(&caller->mem, a->in[i].addr, a->in[i].len))
            return machine_fail(caller, "storage call: buffer %lu is unreadable",
                                (unsigned long)i);
    if (a->dst && !guest_writable(&caller->mem, a->dst, a->dst_len))
        return machine_fail(caller, "storage call: unwritable result buffer");
    return 0;
}

/* Copies the buffers into the inbox of storage, behind their array. 0, or -E2BIG. */
static int copy_in(struct machine *m, const struct machine *caller,
                   struct storage_args *a)
{
    struct region inbox = m->mem.layout.inbox;
    uint64_t at = inbox.begin + sizeof(a->in);
    for (uint64_t i = 0; i < a->count; i++) {
        uint64_t len = a->in[i].len;
        const uint8_t *src = guest_view(&caller->mem, a->in[i].addr, len);
        if (!src || !region_holds(inbox, at, len))
            return -E2BIG;
        guest_write(&m->mem, at, src, len);
        a->in[i].addr = at;
        at = (at + len + 15) & ~15UL;
    }
    return guest_write(&m->mem, inbox.begin, a->in, a->count * sizeof(*a->in));
}

static void prepare(struct machine *m, const struct storage_args *a)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    struct guest_call call = {.function = a->function,
                              .arg = {a->count, m->mem.layout.inbox.begin, a->dst_len},
                              .rsp = m->mem.layout.call_stack.end - 64,
                              .fs_base = m->facts->fs_base,
                              .gs_base = m->facts->gs_base};
    page->result_ready = page->data_len = 0;
    free(m->result.data);
    m->result = (struct storage_result){0};
    m->reason[0] = 0;
    m->exits = 0;
    vcpu_call(&m->vm, &call, 0);
}

/* What the function returned, by either way: bytes and length, or NULL. */
static const uint8_t *result_of(struct machine *m, uint64_t *len)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    if (m->result.ready) {
        *len = m->result.len;
        return m->result.data;
    }
    *len = page->data_len;
    return page->result_ready && *len <= KVM_API_EXCHANGE_DATA ? page->data : NULL;
}

static uint64_t copy_out(struct machine *m, struct machine *caller,
                         const struct storage_args *a)
{
    uint64_t len;
    const uint8_t *src = result_of(m, &len);
    if (!src) {
        console_note(m->console, "storage function 0x%lx returned no result",
                     (unsigned long)a->function);
        return MINUS_ONE;
    }
    if (!a->dst)
        return len;
    if (len > a->dst_len)
        len = a->dst_len;
    guest_write(&caller->mem, a->dst, src, len);
    return len;
}

/* Runs the call. With the lock held. */
static uint64_t run_call(struct skerry_storage *s, struct machine *caller,
                         struct storage_args *a)
{
    struct machine *m = &s->machine;
    if (copy_in(m, caller, a) < 0) {
        console_note(m->console, "storage call: arguments do not fit");
        return MINUS_ONE;
    }
    uint64_t end = clock_now() + s->call_ns;
    m->deadline = end < caller->deadline ? end : caller->deadline;
    prepare(m, a);
    enum stop stop = machine_run(m, 0);
    caller->storage_exits += m->exits;
    if (stop == STOP_RETURNED && vm_sregs_intact(&m->vm))
        return copy_out(m, caller, a);
    s->broken = 1;
    console_note(m->console, "storage function 0x%lx failed: %s",
                 (unsigned long)a->function,
                 m->reason[0] ? m->reason : "state changed");
    return MINUS_ONE;
}

static uint64_t run_locked(struct skerry_storage *s, struct machine *caller,
                           struct storage_args *a)
{
    struct skerry_error err;
    if (s->broken) {
        machine_close(&s->machine);
        int ret = open_machine(s, &err);
        if (ret < 0) {
            console_note(s->console, "storage VM: %s: %s", err.step, err.text);
            return MINUS_ONE;
        }
        s->broken = 0;
    }
    return run_call(s, caller, a);
}

/* Takes the lock, at the latest at the caller's deadline. 0 or an errno value. */
static int take_lock(struct control *c, uint64_t deadline)
{
    struct timespec until = {.tv_sec = (time_t)(deadline / 1000000000UL),
                             .tv_nsec = (long)(deadline % 1000000000UL)};
    int ret = pthread_mutex_trylock(&c->lock);
    if (ret == EBUSY)
        ret = pthread_mutex_clocklock(&c->lock, CLOCK_MONOTONIC, &until);
    if (ret == EOWNERDEAD)
        ret = pthread_mutex_consistent(&c->lock);
    return ret;
}

void storage_answer(struct skerry_storage *s, struct machine *caller)
{
    struct storage_args a = take_args(caller);
    uint64_t result = MINUS_ONE;
    if (!s)
        machine_fail(caller,
                     "storage call, but storage is not enabled for this program");
    if (!s || (a.count <= KVM_API_MAX_BUFFERS && check_args(s, caller, &a) < 0))
        return;
    if (a.count <= KVM_API_MAX_BUFFERS &&
        take_lock(s->control, caller->deadline) == 0) {
        result = run_locked(s, caller, &a);
        pthread_mutex_unlock(&s->control->lock);
    }
    vcpu_return(&caller->vm, result, vcpu_regs(&caller->vm)->rdx);
}
