/* hostcall.c: the table of host calls, and the way there and back. */
#include "hostcall.h"

#include <errno.h>
#include <stddef.h>

#include "threads.h"

static const struct {
    uint32_t number;
    hostcall_handler *handler;
} table[] = {
    {KVM_API_BACKEND_RESPONSE, call_response},
    {KVM_API_STREAMING_RESPONSE, call_stream},
    {KVM_API_RETURNED, call_returned},
    {KVM_API_STORAGE_CALLV, call_storage},
    {KVM_API_STORAGE_RETURN, call_storage_return},
    {KVM_API_STORAGE_NORETURN, call_storage_noreturn},
    {KVM_API_STORAGE_TASK, call_task},
    {KVM_API_STOP_STORAGE_TASK, call_task},
    {KVM_API_HTTP_APPEND, call_append},
    {KVM_API_HTTP_SET, call_set},
    {KVM_API_HTTP_FIND, call_find},
    {KVM_API_HTTP_METHOD, call_method},
    {KVM_API_REGISTER_FUNC, call_register},
    {KVM_API_WAIT_FOR_REQUESTS, call_wait},
    {KVM_API_WAIT_FOR_REQUESTS_PAUSED, call_wait_paused},
    {KVM_API_MAKE_EPHEMERAL, call_make_ephemeral},
    {KVM_API_SHARED_MEMORY_AREA, call_shm},
    {KVM_API_IS_STORAGE, call_is_storage},
    {KVM_API_STORAGE_ALLOW, call_allow},
    {KVM_API_MEMINFO, call_meminfo},
    {KVM_API_LOG, call_log},
    {KVM_API_REGEX_COMPILE, call_regex_compile},
    {KVM_API_REGEX_FREE, call_regex_free},
    {KVM_API_REGEX_MATCH, call_regex_match},
    {KVM_API_REGEX_SUBST, call_regex_subst},
    {KVM_API_REGEX_COPYTO, call_regex_copyto},
    {KVM_API_SET_CACHEABLE, call_cacheable},
    {KVM_API_IS_DEBUG, call_is_debug},
    {KVM_API_BREAKPOINT, call_breakpoint},
    {KVM_API_FETCH, call_fetch},
};

#define LOGGED_UNKNOWN 16 /* lines about unknown calls, of one program */

static long unknown(struct machine *m, uint32_t number)
{
    uint64_t before =
        __atomic_fetch_add(&m->counters->logged_calls, 1, __ATOMIC_RELAXED);
    if (before < LOGGED_UNKNOWN)
        console_note(m->console, "host call 0x%x is not there: ENOSYS", number);
    return -ENOSYS;
}

static hostcall_handler *handler_of(uint32_t number)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (table[i].number == number)
            return table[i].handler;
    return NULL;
}

int hostcall(struct machine *m)
{
    const struct kvm_regs *r = vcpu_regs(&m->vm);
    uint32_t number = (uint32_t)r->rax;
    struct host_call c = {
        m, {r->rdi, r->rsi, r->rdx, r->rcx, r->r8, r->r9}, r->rdx, GO_ON};
    hostcall_handler *handler = handler_of(number);
    machine_begin_call(m);
    threads_trace(m, SKERRY_CALL_HOST, number, c.arg);
    long ret = handler ? handler(&c) : unknown(m, number);
    int failed = machine_end_call(m) < 0 || m->reason[0];
    if (!m->again)
        threads_traced(m, ret, c.stop != GO_ON || failed);
    if (failed)
        return STOP_FAILED;
    if (c.stop == GO_ON && !m->again)
        vcpu_return(&m->vm, (uint64_t)ret, c.rdx);
    return c.stop;
}
