/* fetch.c: see fetch.h. The addresses were the guest's when the call was made, and are
 * looked at again when they are written to. */
#include "fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "near.h"

/* Memory of the program for (len) bytes, as mmap gives it. -ENOMEM if it has none. */
static int make_room(struct machine *m, uint64_t len, uint64_t *addr)
{
    *addr = near_take(m, page_up(len));
    m->touched = 1;
    return *addr ? 0 : -ENOMEM;
}

/* Tells if all of (got) has its place: without room only its length is told. */
static long fits(const struct machine *m, const struct fetch *f,
                 const struct skerry_fetched *got)
{
    const struct guestmem *mem = &m->mem;
    uint64_t headers = f->wanted.headers_room, content = f->wanted.content_room;
    if ((headers && got->headers_len > headers) ||
        (content && got->content_len > content))
        return -EMSGSIZE;
    if (got->headers_len > UINT32_MAX || got->content_len > UINT32_MAX)
        return -EFBIG;
    if (!guest_writable(mem, f->result, sizeof(struct curl_op)) ||
        (headers && !guest_writable(mem, f->headers, got->headers_len)) ||
        (content && !guest_writable(mem, f->content, got->content_len)))
        return -EFAULT;
    return 0;
}

static void describe(struct curl_op *op, const struct skerry_fetched *got)
{
    size_t len = got->type_len < sizeof(op->ctype) ? (size_t)got->type_len
                                                   : sizeof(op->ctype) - 1;
    op->status = got->status;
    op->headers_length = (uint32_t)got->headers_len;
    op->content_length = (uint32_t)got->content_len;
    op->ctlen = (uint32_t)len;
    memset(op->ctype, 0, sizeof(op->ctype));
    if (len)
        memcpy(op->ctype, got->type, len);
}

/* Returns what the call returns. */
static long give(struct machine *m, const struct fetch *f,
                 const struct skerry_fetched *got)
{
    struct curl_op op;
    uint64_t content = f->content;
    long ret = got->result < 0 ? got->result : fits(m, f, got);
    if (ret == 0)
        ret = guest_read(&m->mem, f->result, &op, sizeof(op));
    if (ret == 0 && !content && got->content_len)
        ret = make_room(m, got->content_len, &content);
    if (ret < 0)
        return ret;
    describe(&op, got);
    op.content = (void *)content;
    if (f->wanted.headers_room)
        guest_write(&m->mem, f->headers, got->headers, got->headers_len);
    if (f->wanted.content_room || !f->content)
        guest_write(&m->mem, content, got->content, got->content_len);
    return guest_write(&m->mem, f->result, &op, sizeof(op));
}

void fetch_end(struct machine *m, const struct skerry_fetched *got)
{
    struct fetch *f = m->fetch;
    if (!f)
        return;
    m->fetch = NULL;
    m->deadline += clock_now() - f->begun;
    vcpu_return(&m->vm, (uint64_t)give(m, f, got), vcpu_regs(&m->vm)->rdx);
    free(f);
}
