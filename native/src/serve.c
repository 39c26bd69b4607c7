/* serve.c: one request, storage calls included; see serve.h. */
#include "serve.h"

#include <errno.h>
#include <string.h>

#include "fetch.h"
#include "net.h"
#include "remains.h"
#include "upload.h"

#define ON_ERROR_NS 1000000000UL

/* The response is complete: also memory is looked at. What on_error answers counts,
 * though the request before it has written too much. */
static enum stop check_answer(struct machine *m)
{
    dirty_collect(&m->dirty);
    return machine_check_memory(m) < 0 ? STOP_FAILED : STOP_ANSWERED;
}

enum stop serve_run(struct skerry_vm *vm, uint64_t pause)
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
    return (enum stop)stop;
}

/* Runs until the callback is over one way or another. STOP_RETURNED: it has taken a
 * piece of the body. */
static enum stop run_callback(struct skerry_vm *vm, uint64_t pause)
{
    struct machine *m = &vm->machine;
    enum stop stop = serve_run(vm, pause);
    if (stop == STOP_RETURNED && !vm->failed && vm->upload.in_piece) {
        int ret = upload_taken(vm);
        if (ret <= 0)
            return ret < 0 ? STOP_FAILED : STOP_RETURNED;
        stop = serve_run(vm, pause);
    }
    if (stop == STOP_RETURNED) {
        machine_fail(m, "the callback returned without a response");
        return STOP_FAILED;
    }
    return stop == STOP_ANSWERED && !vm->failed ? check_answer(m) : stop;
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
    m->exchange.caching = (struct caching){0};
    m->deadline = clock_now() + ON_ERROR_NS;
    return request_enter_error(m, m->exchange.request);
}

static int reset(struct skerry_vm *vm)
{
    vm->upload = (struct upload){0};
    if (!vm->machine.ephemeral && !vm->limits.hold)
        return machine_keep(&vm->machine);
    return machine_reset(&vm->machine, vm->snapshot);
}

/* Puts the clone back at once unless the answer still lies in its memory. */
static void leave(struct skerry_vm *vm, struct skerry_reply *reply)
{
    const uint32_t stays = SKERRY_DISCARD | SKERRY_LARGE | SKERRY_STREAM;
    if (reply->flags & stays || vm->limits.hold)
        return;
    if (reset(vm) < 0)
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

/* What the log says of a request that has failed. */
static void tell_failure(const struct skerry_vm *vm, enum stop stop,
                         struct skerry_reply *reply)
{
    const struct machine *m = &vm->machine;
    reply->flags |= SKERRY_FAILED;
    reply->rip = vm->rip;
    reply->caller = vm->caller;
    reply->used_ns = clock_now() - vm->began;
    if (stop != STOP_ANSWERED && m->facts->callback[ON_ERROR]) {
        reply->error_reason = m->reason;
        reply->error_rip = remains_rip(m);
    }
}

static void finish(struct skerry_vm *vm, enum stop stop, struct skerry_reply *reply)
{
    struct machine *m = &vm->machine;
    *reply = (struct skerry_reply){.reason = vm->failed ? vm->reason : "",
                                   .error_reason = "",
                                   .exits = m->exits + m->storage_exits,
                                   .storage_runs = m->storage_exits};
    if (vm->failed || !vm_sregs_intact(&m->vm))
        reply->flags = SKERRY_DISCARD;
    if (vm->failed)
        tell_failure(vm, stop, reply);
    answer(vm, stop, reply);
    serve_mark(vm, reply);
    leave(vm, reply);
}

void serve_mark(struct skerry_vm *vm, struct skerry_reply *reply)
{
    struct skerry_console *console = vm->machine.console;
    if (vm->call.seen && skerry_storage_must_wait(vm->storage, vm->call.seen))
        reply->flags |= SKERRY_UNSYNCED;
    if (vm->call.entered)
        reply->flags |= SKERRY_TASKS;
    console_flush(console);
    if (console_pending(console))
        reply->flags |= SKERRY_LINES;
}

/* The first failure of a request: notes where it was. Tells if somebody wants to look
 * before on_error runs. */
static int is_to_be_shown(struct skerry_vm *vm, enum stop stop)
{
    if (stop == STOP_ANSWERED || vm->failed)
        return 0;
    vm->rip = remains_rip(&vm->machine);
    vm->caller = remains_top(&vm->machine);
    vm->shown = vm->limits.look && !vm->shown ? clock_now() : 0;
    return vm->shown != 0;
}

int skerry_vm_remains(struct skerry_vm *vm, struct skerry_remains **out,
                      struct skerry_error *err)
{
    if (!vm->shown)
        return skerry_refuse(err, EINVAL, "remains", "no request has failed");
    return remains_open(&vm->machine, vm->snapshot->shm, out, err);
}

static void carry_on(struct skerry_vm *vm, uint64_t pause, struct skerry_reply *reply)
{
    enum stop stop;
    if (vm->shown)
        vm->began += clock_now() - vm->shown; /* that is no time of the request */
    do {
        stop = vm->shown ? STOP_FAILED : run_callback(vm, pause);
        if (stop == STOP_BUSY || stop == STOP_FETCH || stop == STOP_OUTSIDE ||
            stop == STOP_RETURNED) {
            uint32_t flag = stop == STOP_BUSY       ? SKERRY_BUSY
                            : stop == STOP_RETURNED ? SKERRY_MORE
                                                    : SKERRY_WAITS;
            *reply = (struct skerry_reply){.flags = flag};
            return;
        }
        if (is_to_be_shown(vm, stop)) {
            *reply = (struct skerry_reply){.flags = SKERRY_BUSY | SKERRY_FAILED};
            return;
        }
    } while (stop != STOP_ANSWERED && enter_error(vm));
    finish(vm, stop, reply);
}

uint64_t serve_pause(const struct skerry_vm *vm, uint64_t now)
{
    return vm->limits.inline_ns ? now + vm->limits.inline_ns : 0;
}

void serve_begin(struct skerry_vm *vm, const struct request *request, uint64_t now)
{
    struct machine *m = &vm->machine;
    m->exits = m->storage_exits = m->fetches = 0;
    m->exchange.request = request;
    m->deadline = now + vm->limits.request_ns;
    vm->failed = 0;
    vm->call.seen = vm->rip = vm->caller = vm->shown = 0;
    vm->began = now;
    vm->call.entered = 0;
}

void serve_enter(struct skerry_vm *vm, int entered, uint64_t pause,
                 struct skerry_reply *reply)
{
    if (entered < 0 && !enter_error(vm))
        finish(vm, STOP_FAILED, reply);
    else
        carry_on(vm, pause, reply);
}

void serve_request(struct skerry_vm *vm, const struct request *request, uint64_t now,
                   uint64_t pause, struct skerry_reply *reply)
{
    serve_begin(vm, request, now);
    if (request->body_len && upload_wanted(&vm->snapshot->facts))
        upload_serve(vm, pause, reply);
    else
        serve_enter(vm, request_enter(&vm->machine, request), pause, reply);
}

void serve_on(struct skerry_vm *vm, uint64_t pause, struct skerry_reply *reply)
{
    carry_on(vm, pause, reply);
}

const struct skerry_wanted *skerry_wanted(const struct skerry_vm *vm)
{
    return vm->machine.fetch ? &vm->machine.fetch->wanted : NULL;
}

void skerry_fetched(struct skerry_vm *vm, const struct skerry_fetched *got)
{
    fetch_end(&vm->machine, got);
}

int skerry_awaited(const struct skerry_vm *vm, uint64_t *ns)
{
    const struct machine *m = &vm->machine;
    uint64_t now = clock_now(), until = machine_wakes_at(m);
    if (m->fetch || !m->net)
        return -1;
    *ns = until > now ? until - now : 0;
    return m->net->epoll;
}

int skerry_reset(struct skerry_vm *vm)
{
    vm->count = 0;
    return reset(vm);
}
