/* trace.c: see trace.h. Nothing is known here of what a call means: whatever an
 * argument may point at is copied, before the call and behind it, and made sense of
 * elsewhere. */
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct open_call {
    struct open_call *next;
    struct skerry_call call;
};

struct trace {
    int socket, storage;
    struct open_call *open; /* of threads that wait, and of the one that runs */
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
    t->storage = storage;
    *out = t;
    return 0;
}

void trace_close(struct trace *t)
{
    while (t && t->open) {
        struct open_call *next = t->open->next;
        free(t->open);
        t->open = next;
    }
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

static struct open_call **find(struct trace *t, uint32_t tid)
{
    struct open_call **at = &t->open;
    while (*at && (*at)->call.thread != tid)
        at = &(*at)->next;
    return at;
}

/* That of (tid), which may be made again; else a new one, or NULL. */
static struct skerry_call *take(struct trace *t, uint32_t tid)
{
    struct open_call **at = find(t, tid);
    if (!*at)
        *at = calloc(1, sizeof(**at));
    return *at ? &(*at)->call : NULL;
}

void trace_enter(struct trace *t, const struct guestmem *mem, uint32_t tid, int kind,
                 uint64_t number, const uint64_t arg[6])
{
    struct skerry_call *c = take(t, tid);
    const struct guestmem look = as_it_is(mem);
    if (!c)
        return;
    c->kind = kind;
    c->storage = t->storage;
    c->thread = tid;
    c->number = number;
    for (int i = 0; i < 6; i++) {
        c->arg[i] = arg[i];
        c->before_len[i] = copy(&look, arg[i], c->before[i]);
    }
}

static void leave(struct trace *t, const struct guestmem *mem, struct open_call **at,
                  int64_t result, int ends)
{
    struct open_call *open = *at;
    struct skerry_call *c = &open->call;
    const struct guestmem look = as_it_is(mem);
    c->result = result;
    c->ends = ends;
    for (int i = 0; i < 6; i++)
        c->after_len[i] = copy(&look, c->arg[i], c->after[i]);
    while (send(t->socket, c, sizeof(*c), MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
    *at = open->next;
    free(open);
}

void trace_leave(struct trace *t, const struct guestmem *mem, uint32_t tid,
                 int64_t result, int ends)
{
    struct open_call **at = find(t, tid);
    if (*at)
        leave(t, mem, at, result, ends);
}

void trace_leave_all(struct trace *t, const struct guestmem *mem)
{
    while (t->open)
        leave(t, mem, &t->open, 0, 1);
}
