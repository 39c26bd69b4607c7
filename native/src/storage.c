/* storage.c: a call into the storage machine; see storage.h.
 *
 * The machine works on the live image of a store. Registers do not live across calls,
 * so nothing else remembers anything. Its vCPU belongs to whoever holds the lock. */
#include "storage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "remains.h"

#define MINUS_ONE UINT64_MAX

/* Pages that KVM has reported stay on the list and are compared after every call. That
 * costs 0.1 us a page; having one reported anew, as much as REPORT_COST of that. A list
 * of more than KEEP_PAGES is dropped when it has cost more in vain than that would. */
#define KEEP_PAGES 64
#define REPORT_COST 64

void storage_prepare(struct machine *m, const struct storage_args *a)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    struct guest_call call = {.function = a->function,
                              .arg = {a->count, m->mem.layout.inbox.begin, a->dst_len},
                              .rsp = m->mem.layout.call_stack.end - 64,
                              .fs_base = m->facts->fs_base,
                              .gs_base = m->facts->gs_base};
    page->result_ready = page->data_len = 0;
    free(m->result.data);
    m->result = (struct storage_result){0};
    m->reason[0] = 0;
    m->exits = 0;
    machine_wake(m);
    machine_answered(m);
    m->process->alarm = (struct alarm){0};
    m->again = AGAIN_NOT;
    m->look = clock_now() + MACHINE_CLEAN_UP_NS;
    vcpu_call(&m->vm, &call, 0);
}

const uint8_t *storage_result(struct machine *m, uint64_t *len)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    if (m->result.ready) {
        *len = m->result.len;
        return m->result.data;
    }
    *len = page->data_len;
    return page->result_ready && *len <= KVM_API_EXCHANGE_DATA ? page->data : NULL;
}

int storage_mend(struct skerry_storage *s)
{
    struct skerry_error err;
    if (s->machine.regexes.changed) /* by the call before */
        regexes_restore(&s->machine.regexes, &s->snapshot->regexes);
    if (s->machine.objects.changed)
        s->broken |= objects_restore(&s->machine.objects, &s->snapshot->objects) < 0;
    if (!s->broken)
        return 0;
    machine_close(&s->machine);
    int ret = machine_open(&s->machine, s->snapshot, 1, &s->store.control->process,
                           s->console, &err);
    if (ret == 0)
        ret = trace_open(s->trace, 1, &s->machine.trace, &err);
    if (ret < 0)
        console_note(s->console, "storage VM: %s: %s", err.step, err.text);
    else
        s->broken = 0;
    s->machine.tasks = s->store.tasks;
    return ret;
}

/* With the lock held: the call is ready to run. 0 or -errno. */
static int enter(struct skerry_storage *s, struct storage_args *a,
                 struct machine *caller)
{
    int ret = storage_mend(s);
    if (ret < 0)
        return ret;
    struct machine *m = &s->machine;
    if (storage_copy_in(m, caller, a) < 0) {
        console_note(m->console, "storage call: arguments do not fit");
        return -E2BIG;
    }
    uint64_t end = clock_now() + s->call_ns;
    m->deadline = end < caller->deadline ? end : caller->deadline;
    storage_prepare(m, a);
    store_begin(&s->store);
    return 0;
}

const struct dirty *storage_written(struct skerry_storage *s)
{
    struct machine *m = &s->machine;
    dirty_collect(&m->dirty);
    return m->dirty.failed ? NULL : &m->dirty;
}

void storage_keep_short(struct skerry_storage *s)
{
    struct machine *m = &s->machine;
    uint32_t listed = m->dirty.count;
    if (m->dirty.failed)
        s->broken = 1;
    s->in_vain = listed > KEEP_PAGES ? s->in_vain + listed - s->store.found : 0;
    if (s->in_vain <= (uint64_t)REPORT_COST * listed || s->broken)
        return;
    s->in_vain = 0;
    dirty_forget(&m->dirty);
    if (vm_rearm_dirty(&m->vm) < 0)
        s->broken = 1;
}

int storage_close_files(struct skerry_storage *s)
{
    struct machine *m = &s->machine;
    return files_end_call(&m->files, &m->process->files, 1, m->deadline);
}

void storage_roll_back(struct skerry_storage *s)
{
    store_roll_back(&s->store, storage_written(s));
    files_drop(&s->machine.files);
}

/* A call that ended well becomes part of the state. Its result, or -1. */
static uint64_t commit(struct skerry_storage *s, const struct storage_args *a,
                       struct machine *caller)
{
    struct machine *m = &s->machine;
    uint64_t len;
    const uint8_t *result = storage_result(m, &len);
    if (!result) {
        console_note(m->console, "storage function 0x%lx returned no result",
                     (unsigned long)a->function);
        storage_roll_back(s);
        return MINUS_ONE;
    }
    int ret = storage_close_files(s);
    if (ret < 0) {
        console_note(m->console, "state file: %s; storage function 0x%lx undone",
                     strerror(-ret), (unsigned long)a->function);
        storage_roll_back(s);
        return MINUS_ONE;
    }
    ret = store_commit(&s->store, storage_written(s));
    if (ret < 0) {
        console_note(m->console, "storage file: %s; storage function 0x%lx undone",
                     strerror(-ret), (unsigned long)a->function);
        return MINUS_ONE;
    }
    return storage_copy_out(caller, a, result, len);
}

static uint64_t finish(struct skerry_storage *s, const struct storage_args *a,
                       struct machine *caller, enum stop stop)
{
    struct machine *m = &s->machine;
    uint64_t result = MINUS_ONE;
    if (stop == STOP_RETURNED && vm_sregs_intact(&m->vm)) {
        result = commit(s, a, caller);
    } else {
        s->broken = 1;
        console_note(m->console, "storage function 0x%lx failed: %s%s",
                     (unsigned long)a->function,
                     m->reason[0] ? m->reason : "state changed", remains_place(m).text);
        storage_roll_back(s);
    }
    storage_keep_short(s);
    return result;
}

static int end(struct storage_call *call, struct machine *caller, uint64_t result)
{
    call->step = STEP_NONE;
    vcpu_return(&caller->vm, result, vcpu_regs(&caller->vm)->rdx);
    return GO_ON;
}

static int leave(struct skerry_storage *s, struct storage_call *call,
                 struct machine *caller, uint64_t result)
{
    if (!call->order.number)
        call->seen = store_sequence(&s->store);
    call->entered |= s->store.tasks->next_due < call->due;
    store_give(&s->store);
    return end(call, caller, result);
}

static int carry_on(struct skerry_storage *s, struct storage_call *call,
                    struct machine *caller, uint64_t pause)
{
    enum stop stop = machine_run(&s->machine, pause);
    if (stop == STOP_BUSY)
        return STOP_BUSY;
    caller->storage_exits += s->machine.exits;
    return leave(s, call, caller, finish(s, &call->args, caller, stop));
}

/* Takes the lock, and enters the machine. */
static int begin(struct skerry_storage *s, struct storage_call *call,
                 struct machine *caller, uint64_t pause)
{
    uint64_t until = pause && pause < caller->deadline ? pause : caller->deadline;
    int ret = store_take(&s->store, &call->ticket, until);
    if (ret == -EAGAIN && until < caller->deadline)
        return STOP_BUSY;
    if (ret < 0) {
        lock_forget(&s->store.control->lock, &call->ticket);
        if (ret == -ESHUTDOWN)
            console_note(s->console, "storage call: another build has taken over");
        else if (ret != -EAGAIN)
            console_note(s->console, "storage file: %s", strerror(-ret));
        return end(call, caller, MINUS_ONE);
    }
    call->due = s->store.tasks->next_due;
    if (call->order.number)
        return leave(s, call, caller, (uint64_t)storage_order(s, caller, &call->order));
    if (enter(s, &call->args, caller) < 0)
        return leave(s, call, caller, MINUS_ONE);
    call->step = STEP_RUNNING;
    return carry_on(s, call, caller, pause);
}

static long take_order(struct skerry_storage *s, struct storage_call *call,
                       struct machine *caller)
{
    struct task_order *o = &call->order;
    long ret = call_take_order(caller, o);
    if (ret == 0 && o->number == KVM_API_STORAGE_TASK)
        ret = storage_check_function(s, caller, o->function);
    return ret;
}

int storage_answer(struct skerry_storage *s, struct storage_call *call,
                   struct machine *caller, uint64_t pause)
{
    if (!s) {
        machine_fail(caller,
                     "storage call, but storage is not enabled for this program");
        return STOP_FAILED;
    }
    if (call->step == STEP_RUNNING)
        return carry_on(s, call, caller, pause);
    if (call->step == STEP_NONE) {
        call->order.number = 0;
        long ret = storage_is_order(caller) ? take_order(s, call, caller)
                                            : storage_take_args(s, caller, &call->args);
        if (ret < 0)
            return ret == -EPROTO ? STOP_FAILED : end(call, caller, (uint64_t)ret);
        call->step = STEP_WAITING;
    }
    return begin(s, call, caller, pause);
}

void storage_abandon(struct skerry_storage *s, struct storage_call *call)
{
    if (call->step == STEP_WAITING)
        lock_forget(&s->store.control->lock, &call->ticket);
    if (call->step == STEP_RUNNING) {
        s->broken = 1;
        storage_roll_back(s);
        store_give(&s->store);
    }
    call->step = STEP_NONE;
}
