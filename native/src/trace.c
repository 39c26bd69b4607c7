/* trace.c: see trace.h. Nothing is known here of what a call means: whatever an
 * argument may point at is copied, before the call and behind it, and made sense of
 * elsewhere. */
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct trace {
    int socket;
    struct skerry_call call;
};

int trace_open(int socket, int storage, struct trace **out, struct skerry_error *err)
{
    *out = NULL;
    if (!socket)
        return 0;
    struct trace *t = calloc(1, sizeof(*t));
    if (!t)
        return skerry_fail(err, "trace");
    t->socket = socket;
    t->call.storage = storage;
    *out = t;
    return 0;
}

void trace_close(struct trace *t)
{
    free(t);
}

/* Memory is looked at, and none taken for what the program has not touched. */
static struct guestmem as_it_is(const struct guestmem *mem)
{
    struct guestmem look = *mem;
    look.space = NULL;
    return look;
}

/* As many bytes at (addr) as the program may read, up to a piece, and to the end of the
 * page if the next one is not there. */
static uint32_t copy(const struct guestmem *mem, uint64_t addr, uint8_t *to)
{
    uint32_t len = SKERRY_CALL_BYTES, rest = PAGE_SIZE - addr % PAGE_SIZE;
    if (rest < len && guest_read(mem, addr, to, len) < 0)
        len = rest;
    return guest_read(mem, addr, to, len) < 0 ? 0 : len;
}

void trace_enter(struct trace *t, const struct guestmem *mem, int kind, uint64_t number,
                 const uint64_t arg[6])
{
    struct skerry_call *c = &t->call;
    const struct guestmem look = as_it_is(mem);
    c->kind = kind;
    c->number = number;
    for (int i = 0; i < 6; i++) {
        c->arg[i] = arg[i];
        c->before_len[i] = copy(&look, arg[i], c->before[i]);
    }
}

void trace_leave(struct trace *t, const struct guestmem *mem, int64_t result, int ends)
{
    struct skerry_call *c = &t->call;
    const struct guestmem look = as_it_is(mem);
    c->result = result;
    c->ends = ends;
    for (int i = 0; i < 6; i++)
        c->after_len[i] = copy(&look, c->arg[i], c->after[i]);
    while (send(t->socket, c, sizeof(*c), MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}
