/* batch.c: the requests that wait for a clone (skerry_add to skerry_resume).
 *
 * Several requests are served in one call: what runs right behind an exit from KVM runs
 * with cold caches, so the caller reads all requests first, and writes all answers
 * last, and only this file runs in between. Each request finds the frozen state. */
#include <errno.h>
#include <string.h>

#include "serve.h"

#define LAST                                                                           \
    (SKERRY_DISCARD | SKERRY_LARGE | SKERRY_BUSY | SKERRY_WAITS | SKERRY_STREAM)
#define ROOM 4096 /* bytes of skerry_vm_out that the next answer should find */

const char *skerry_vm_out(const struct skerry_vm *vm)
{
    return vm->out;
}

const struct skerry_reply *skerry_vm_replies(const struct skerry_vm *vm)
{
    return vm->replies;
}

int skerry_add(struct skerry_vm *vm, const char *method, const char *url,
               const char *headers, const char *content_type, const char *body,
               size_t body_len)
{
    if (vm->count == SKERRY_BATCH)
        return -ENOSPC;
    vm->batch[vm->count++] = (struct request){.method = method,
                                              .method_len = strlen(method),
                                              .url = url,
                                              .url_len = strlen(url),
                                              .headers = headers,
                                              .headers_len = strlen(headers),
                                              .content_type = content_type,
                                              .content_type_len = strlen(content_type),
                                              .body = body,
                                              .body_len = body_len};
    return 0;
}

/* Tells if there is nothing left to serve in this call. */
static int is_over(const struct skerry_vm *vm, const struct skerry_reply *last)
{
    return last == &vm->replies[vm->count - 1] || last->flags & LAST ||
           vm->out_used > SKERRY_OUT_SIZE - ROOM || vm->limits.hold;
}

int skerry_run(struct skerry_vm *vm)
{
    uint64_t now = clock_now(), end = serve_pause(vm, now);
    uint32_t done = 0;
    vm->out_used = 0;
    while (done < vm->count) {
        struct skerry_reply *reply = &vm->replies[done];
        serve_request(vm, &vm->batch[done], now, serve_pause(vm, now), reply);
        done++;
        if (is_over(vm, reply))
            break;
        now = clock_now();
        if (end && now >= end)
            break;
    }
    vm->count = 0;
    return (int)done;
}

void skerry_resume(struct skerry_vm *vm)
{
    vm->out_used = 0;
    serve_on(vm, 0, &vm->replies[0]);
}

void skerry_go_on(struct skerry_vm *vm)
{
    vm->out_used = 0;
    serve_on(vm, serve_pause(vm, clock_now()), &vm->replies[0]);
}
