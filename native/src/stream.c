/* stream.c: a response whose body the program makes piece by piece (skerry_stream).
 *
 * The function that began the response stays stopped in its host call: its frame is
 * alive, and the pieces' function runs below it on the same stack. Between two pieces
 * nothing runs: a slow client costs a clone, not a thread. */
#include <string.h>

#include "remains.h"
#include "serve.h"

#define PIECE_NS 2000000000UL
#define RED_ZONE 128 /* System V ABI, 3.2.2: bytes below rsp that are in use */

static uint64_t most(const struct stream *s)
{
    uint64_t left = s->total - s->written;
    return left < SKERRY_PIECE ? left : SKERRY_PIECE;
}

static void enter(struct machine *m, struct stream *s)
{
    const struct guest_call c = {.function = s->function,
                                 .arg = {s->arg, most(s), s->written, s->total},
                                 .rsp = (s->rsp - RED_ZONE) & ~15UL,
                                 .fs_base = m->facts->fs_base,
                                 .gs_base = m->facts->gs_base};
    s->in_piece = 1;
    m->last_paused = 0; /* its registers are gone: it cannot go on behind its wait */
    m->deadline = clock_now() + PIECE_NS;
    vcpu_call(&m->vm, &c, 0);
}

/* Takes what the function has returned into (reply): a pointer and a length. */
static int take(struct machine *m, struct stream *s, struct skerry_reply *reply)
{
    uint64_t len = m->returned[1];
    if (len == 0 && s->total == STREAM_UNKNOWN)
        return 0;
    if (len == 0 || len > most(s))
        return machine_fail(m, "a piece of %lu bytes: expected 1 to %lu",
                            (unsigned long)len, (unsigned long)most(s));
    reply->body = (const char *)guest_view(&m->mem, m->returned[0], len);
    if (!reply->body)
        return machine_fail(m, "a piece in unreadable memory");
    reply->body_len = len;
    s->written += len;
    if (s->written < s->total)
        reply->flags |= SKERRY_STREAM;
    dirty_collect(&m->dirty);
    return machine_check_memory(m);
}

static int end_piece(struct machine *m, struct stream *s, enum stop stop,
                     struct skerry_reply *reply)
{
    s->in_piece = 0;
    if (stop == STOP_RETURNED)
        return take(m, s, reply);
    return machine_fail(m, "responded while it made a piece"); /* unless there is why */
}

static void fail(struct skerry_vm *vm, struct skerry_reply *reply)
{
    memcpy(vm->reason, vm->machine.reason, sizeof(vm->reason));
    *reply = (struct skerry_reply){.flags = SKERRY_FAILED | SKERRY_DISCARD,
                                   .reason = vm->reason,
                                   .error_reason = "",
                                   .rip = remains_rip(&vm->machine),
                                   .caller = remains_top(&vm->machine),
                                   .used_ns = clock_now() - vm->began};
}

void skerry_stream(struct skerry_vm *vm, int wait)
{
    struct machine *m = &vm->machine;
    struct stream *s = &m->exchange.stream;
    struct skerry_reply *reply = &vm->replies[0];
    if (!s->in_piece) {
        vm->call.entered = 0;
        enter(m, s);
    }
    enum stop stop = serve_run(vm, wait ? 0 : serve_pause(vm, clock_now()));
    *reply = (struct skerry_reply){.reason = ""};
    if (stop == STOP_BUSY) {
        reply->flags = SKERRY_BUSY;
        return;
    }
    if (vm->failed || !vm_sregs_intact(&m->vm))
        reply->flags = SKERRY_DISCARD;
    if (end_piece(m, s, stop, reply) < 0)
        fail(vm, reply);
    serve_mark(vm, reply);
}
