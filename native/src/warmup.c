/* warmup.c: see warmup.h. */
#include "warmup.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "paused.h"
#include "request.h"

#define STEP "warm-up"

/* Runs (m) until it stops for what is not storage. */
static enum stop run(struct machine *m, const struct skerry_boot_options *o,
                     struct storage_call *call)
{
    enum stop stop;
    while ((stop = machine_run(m, 0)) == STOP_STORAGE)
        if (storage_answer(o->storage, call, m, 0) == STOP_FAILED)
            return STOP_FAILED;
    return stop;
}

static int explain(struct machine *m, enum stop stop, uint32_t number,
                   struct skerry_error *err)
{
    if (stop == STOP_RETURNED)
        machine_fail(m, "the callback returned without a response");
    return skerry_refuse(err, EPROTO, STEP, "request %u: %s", number, m->reason);
}

static int make_one(struct machine *m, const struct skerry_boot_options *o,
                    const struct request *request, uint32_t number,
                    struct storage_call *call, struct skerry_error *err)
{
    m->exchange.request = request;
    m->deadline = clock_now() + o->boot_ns;
    enum stop stop = STOP_FAILED;
    if (request_enter(m, request) == 0)
        stop = run(m, o, call);
    if (stop != STOP_ANSWERED)
        return explain(m, stop, number, err);
    machine_keep(m);
    return 0;
}

/* A program that goes on behind its wait has to come back to it. */
static int wait_again(struct machine *m, const struct skerry_boot_options *o,
                      struct storage_call *call, struct skerry_error *err)
{
    m->deadline = clock_now() + o->boot_ns;
    vcpu_return(&m->vm, 0, vcpu_regs(&m->vm)->rdx);
    enum stop stop = run(m, o, call);
    if (stop != STOP_WAITING)
        return explain(m, stop, o->warmup_requests, err);
    int ret = machine_freeze_registers(m, err);
    if (ret == 0)
        paused_freeze(m);
    return ret;
}

/* Clones find no requests before theirs: memory that the host writes is zero again. */
static int forget(struct machine *m, struct skerry_error *err)
{
    const struct layout *l = &m->mem.layout;
    const struct region regions[] = {l->call_stack, l->inbox};
    for (size_t i = 0; i < sizeof(regions) / sizeof(*regions); i++) {
        uint64_t begin = regions[i].begin, size = regions[i].end - begin;
        if (madvise(m->mem.base + begin, size, MADV_REMOVE) < 0)
            return skerry_fail(err, STEP);
    }
    memset(machine_exchange(m), 0, sizeof(struct kvm_api_exchange));
    request_describe(m);
    return 0;
}

int warmup_run(struct machine *m, const struct skerry_boot_options *o,
               struct storage_call *call, struct skerry_error *err)
{
    const struct request request = {.method = o->warmup_method,
                                    .method_len = strlen(o->warmup_method),
                                    .url = o->warmup_url,
                                    .url_len = strlen(o->warmup_url),
                                    .headers = o->warmup_headers,
                                    .headers_len = strlen(o->warmup_headers),
                                    .content_type = "",
                                    .body = ""};
    int ret = 0;
    m->booting = 0;
    objects_keep(&m->objects);
    m->files.who = OPENER_REQUEST;
    m->warming = 1;
    for (uint32_t i = 1; ret == 0 && i <= o->warmup_requests; i++)
        ret = make_one(m, o, &request, i, call, err);
    if (ret == 0 && paused_goes_on(m))
        ret = wait_again(m, o, call, err);
    return ret == 0 ? forget(m, err) : ret;
}
