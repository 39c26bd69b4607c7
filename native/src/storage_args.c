/* storage_args.c: what a request passes to a storage function, and gets back. */
#include <errno.h>

#include "storage.h"

static int allowed(const struct program_facts *f, uint64_t function)
{
    for (uint32_t i = 0; i < f->allow_count; i++)
        if (f->allow[i] == function)
            return 1;
    return f->allow_count == 0;
}

static void take_args(const struct machine *caller, struct storage_args *a)
{
    const struct kvm_regs *r = vcpu_regs(&caller->vm);
    a->function = r->rdi;
    a->count = r->rsi;
    a->buffers = r->rdx;
    a->dst = r->rcx;
    a->dst_len = r->r8;
}

int storage_check_function(struct skerry_storage *s, struct machine *caller,
                           uint64_t function)
{
    if (allowed(&s->snapshot->facts, function))
        return 0;
    return machine_fail(caller, "storage call: 0x%lx is not on the allow list",
                        (unsigned long)function);
}

/* Checks what the caller passed. 0, or -EPROTO when it fails the request. */
static int check_args(struct skerry_storage *s, struct machine *caller,
                      struct storage_args *a)
{
    if (storage_check_function(s, caller, a->function) < 0)
        return -EPROTO;
    if (guest_read(&caller->mem, a->buffers, a->in, a->count * sizeof(*a->in)) < 0)
        return machine_fail(caller, "storage call: unreadable buffers");
    for (uint64_t i = 0; i < a->count; i++)
        if (!guest_readable(&caller->mem, a->in[i].addr, a->in[i].len))
            return machine_fail(caller, "storage call: buffer %lu is unreadable",
                                (unsigned long)i);
    if (a->dst && !guest_writable(&caller->mem, a->dst, a->dst_len))
        return machine_fail(caller, "storage call: unwritable result buffer");
    return 0;
}

int storage_copy_in(struct machine *m, const struct machine *caller,
                    struct storage_args *a)
{
    struct region inbox = m->mem.layout.inbox;
    uint64_t at = inbox.begin + sizeof(a->in);
    for (uint64_t i = 0; i < a->count; i++) {
        uint64_t len = a->in[i].len;
        uint8_t *to =
            region_holds(inbox, at, len) ? guest_window(&m->mem, at, len) : NULL;
        if (!to || guest_read(&caller->mem, a->in[i].addr, to, len) < 0)
            return -E2BIG;
        a->in[i].addr = at;
        at = (at + len + 15) & ~15UL;
    }
    return guest_write(&m->mem, inbox.begin, a->in, a->count * sizeof(*a->in));
}

uint64_t storage_copy_out(struct machine *caller, const struct storage_args *a,
                          const uint8_t *result, uint64_t len)
{
    if (!a->dst)
        return len;
    if (len > a->dst_len)
        len = a->dst_len;
    guest_write(&caller->mem, a->dst, result, len);
    return len;
}

long storage_take_args(struct skerry_storage *s, struct machine *caller,
                       struct storage_args *a)
{
    take_args(caller, a);
    if (a->count > KVM_API_MAX_BUFFERS)
        return -1;
    return check_args(s, caller, a);
}
