/* upload.c: see upload.h. Between two pieces the clone waits with the program's state;
 * only the time that the guest runs is taken from the request's. */
#include "upload.h"

#include <errno.h>

int upload_wanted(const struct program_facts *facts)
{
    return facts->callback[ON_STREAM_POST] && !facts->callback[ON_REQUEST];
}

int skerry_takes_pieces(const struct skerry_snapshot *snapshot)
{
    return upload_wanted(&snapshot->facts);
}

static int enter_piece(struct skerry_vm *vm, const char *data, size_t len)
{
    struct machine *m = &vm->machine;
    return request_enter_piece(m, m->exchange.request, &vm->upload, data, len);
}

void upload_serve(struct skerry_vm *vm, uint64_t pause, struct skerry_reply *reply)
{
    const struct request *r = vm->machine.exchange.request;
    vm->upload = (struct upload){.whole = 1};
    serve_enter(vm, enter_piece(vm, r->body, r->body_len), pause, reply);
}

/* What was waited for what the program fetched has moved the deadline. */
static uint64_t time_left(const struct machine *m)
{
    uint64_t now = clock_now();
    return now < m->deadline ? m->deadline - now : 0;
}

int upload_taken(struct skerry_vm *vm)
{
    struct machine *m = &vm->machine;
    struct upload *u = &vm->upload;
    u->in_piece = 0;
    if (m->returned[0] != u->len)
        return machine_fail(m, "stream_post returned %ld for a piece of %lu bytes",
                            (long)m->returned[0], (unsigned long)u->len);
    u->offset += u->len;
    if (!u->whole) {
        u->left = time_left(m);
        return 0;
    }
    return request_enter_end(m, m->exchange.request, u) < 0 ? -EPROTO : 1;
}

static void begin(struct skerry_vm *vm, uint64_t now)
{
    vm->count = 0;
    vm->upload = (struct upload){.left = vm->limits.request_ns};
    serve_begin(vm, &vm->batch[0], now);
}

void skerry_post(struct skerry_vm *vm, const char *data, size_t len)
{
    uint64_t now = clock_now();
    struct upload *u = &vm->upload;
    vm->out_used = 0;
    if (vm->count)
        begin(vm, now);
    vm->machine.deadline = now + u->left;
    int entered = len ? enter_piece(vm, data, len)
                      : request_enter_end(&vm->machine, &vm->batch[0], u);
    serve_enter(vm, entered, serve_pause(vm, now), &vm->replies[0]);
}
