/* serve.c: one request, storage calls included; see serve.h. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

#include "request.h"
#include "run.h"

#define ON_ERROR_NS 1000000000UL

int skerry_vm_open(struct skerry_snapshot *snapshot, struct skerry_storage *storage,
                   const struct skerry_limits *limits, struct skerry_console *console,
                   struct skerry_vm **out, struct skerry_error *err)
{
    struct skerry_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return skerry_fail(err, "clone");
    vm->machine.vm.fd = vm->machine.vm.vcpu_fd = -1;
    vm->snapshot = snapshot_share(snapshot);
    vm->storage = storage_share(storage);
    vm->limits = *limits;
    vm->process = snapshot->process;
    vm->out = malloc(SKERRY_OUT_SIZE);
    int ret = vm->out ? 0 : skerry_fail(err, "clone");
    if (ret == 0)
        ret = machine_open(&vm->machine, snapshot, 0, &vm->process, console, err);
    if (ret < 0) {
        skerry_vm_close(vm);
        return ret;
    }
    *out = vm;
    return 0;
}

void skerry_vm_close(struct skerry_vm *vm)
{
    if (!vm)
        return;
    storage_abandon(vm->storage, &vm->call);
    machine_close(&vm->machine);
    skerry_storage_close(vm->storage);
    skerry_snapshot_close(vm->snapshot);
    free(vm->spill.at);
    free(vm->out);
    free(vm);
}

/* The response is complete: also memory is looked at. What on_error answers counts,
 * though the request before it has written too much. */
static enum stop check_answer(struct machine *m)
{
    dirty_collect(&m->dirty);
    if (dirty_charge(&m->dirty) <= m->facts->max_request_memory)
        return STOP_ANSWERED;
    machine_fail(m, "wrote more than max_request_memory (%lu MB)",
                 (unsigned long)(m->facts->max_request_memory >> 20));
    return STOP_FAILED;
}

/* Runs until the callback is over one way or another. */
static enum stop run_callback(struct skerry_vm *vm, uint64_t pause)
{
    struct machine *m = &vm->machine;
    int stop = vm->call.step == STEP_NONE ? (int)machine_run(m, pause) : STOP_STORAGE;
    while (stop == STOP_STORAGE) {
        stop = storage_answer(vm->storage, &vm->call, m, pause);
        if (stop != GO_ON)
            return (enum stop)stop;
        if (clock_now() >= m->deadline) {
            machine_fail(m, "time limit reached");
            return STOP_FAILED;
        }
        stop = (int)machine_run(m, pause);
    }
    if (stop == STOP_RETURNED)
        machine_fail(m, "the callback returned without a response");
    return stop == STOP_ANSWERED && !vm->failed ? check_answer(m) : (enum stop)stop;
}

/* The request has failed: on_error may answer, in the same clone. Returns 0 if there is
 * none, or it has failed too. */
static int enter_error(struct skerry_vm *vm)
{
    struct machine *m = &vm->machine;
    if (vm->failed)
        return 0;
    vm->failed = 1;
    memcpy(vm->reason, m->reason, sizeof(vm->reason));
    fields_clear(&m->exchange.answered);
    m->deadline = clock_now() + ON_ERROR_NS;
    return request_enter_error(m, m->exchange.request);
}

/* Puts the clone back at once unless the answer still lies in its memory. */
static void leave(struct skerry_vm *vm, struct skerry_reply *reply)
{
    if (reply->flags & (SKERRY_DISCARD | SKERRY_LARGE) || vm->limits.hold)
        return;
    if (skerry_reset(vm) < 0)
        reply->flags |= SKERRY_DISCARD;
}

static void answer(struct skerry_vm *vm, enum stop stop, struct skerry_reply *reply)
{
    struct text out = {.at = vm->out + vm->out_used,
                       .capacity = SKERRY_OUT_SIZE - vm->out_used};
    reply->out_at = vm->out_used;
    if (stop != STOP_ANSWERED ||
        reply_build(&vm->machine.exchange, &out, &vm->spill, reply) < 0)
        reply_failed(&out, reply);
    vm->out_used += (uint32_t)out.used;
}

static void finish(struct skerry_vm *vm, enum stop stop, struct skerry_reply *reply)
{
    struct machine *m = &vm->machine;
    *reply = (struct skerry_reply){.reason = vm->failed ? vm->reason : "",
                                   .exits = m->exits + m->storage_exits,
                                   .storage_runs = m->storage_exits};
    if (vm->failed || !vm_sregs_intact(&m->vm))
        reply->flags = SKERRY_DISCARD;
    if (vm->failed)
        reply->flags |= SKERRY_FAILED;
    if (vm->call.seen && skerry_storage_must_wait(vm->storage, vm->call.seen))
        reply->flags |= SKERRY_UNSYNCED;
    if (vm->call.entered)
        reply->flags |= SKERRY_TASKS;
    answer(vm, stop, reply);
    console_flush(m->console);
    if (console_pending(m->console))
        reply->flags |= SKERRY_LINES;
    leave(vm, reply);
}

static void carry_on(struct skerry_vm *vm, uint64_t pause, struct skerry_reply *reply)
{
    enum stop stop;
    do {
        stop = run_callback(vm, pause);
        if (stop == STOP_BUSY) {
            *reply = (struct skerry_reply){.flags = SKERRY_BUSY};
            return;
        }
    } while (stop != STOP_ANSWERED && enter_error(vm));
    finish(vm, stop, reply);
}

void serve_request(struct skerry_vm *vm, const struct request *request, uint64_t now,
                   uint64_t pause, struct skerry_reply *reply)
{
    struct machine *m = &vm->machine;
    m->exits = m->storage_exits = 0;
    m->exchange.request = request;
    m->deadline = now + vm->limits.request_ns;
    vm->failed = 0;
    vm->call.seen = 0;
    vm->call.entered = 0;
    if (request_enter(m, request) < 0 && !enter_error(vm))
        finish(vm, STOP_FAILED, reply);
    else
        carry_on(vm, pause, reply);
}

void serve_on(struct skerry_vm *vm, struct skerry_reply *reply)
{
    carry_on(vm, 0, reply);
}

int skerry_reset(struct skerry_vm *vm)
{
    if (!vm->machine.ephemeral && !vm->limits.hold)
        return machine_keep(&vm->machine);
    return machine_reset(&vm->machine, vm->snapshot);
}

uint64_t skerry_unknown_syscalls(const struct skerry_snapshot *s)
{
    return __atomic_load_n(&s->counters.unknown_syscalls, __ATOMIC_RELAXED);
}

uint64_t skerry_body_limit(const struct skerry_snapshot *s)
{
    return s->layout.inbox.end - s->layout.inbox.begin - 1;
}

uint64_t skerry_differing_pages(const struct skerry_vm *vm)
{
    uint64_t differing = 0, size = vm->snapshot->layout.slot_size;
    const uint8_t *ours = vm->machine.mem.base, *frozen = vm->snapshot->frozen;
    for (uint64_t at = 0; at < size; at += PAGE_SIZE)
        differing += memcmp(ours + at, frozen + at, PAGE_SIZE) != 0;
    return differing;
}
