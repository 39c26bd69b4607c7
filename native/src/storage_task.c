/* storage_task.c: what is to run in storage later: how requests ask for it, and how it
 * is run (skerry_storage_run_task in skerry.h). */
#include <errno.h>
#include <string.h>

#include "storage.h"

#define LIMIT_NS (15 * 1000000000UL) /* of one task */
#define WAIT_NS 1000000000UL         /* for the lock */
#define SLICE_NS 100000000UL         /* looks so often if it is to stop */

int storage_is_order(const struct machine *caller)
{
    uint32_t number = (uint32_t)vcpu_regs(&caller->vm)->rax;
    return number == KVM_API_STORAGE_TASK || number == KVM_API_STOP_STORAGE_TASK;
}

int64_t storage_order(struct skerry_storage *s, const struct machine *caller,
                      const struct task_order *o)
{
    if (o->number == KVM_API_STOP_STORAGE_TASK)
        return tasks_stop(s->store.tasks, o->id, 1);
    const uint8_t *data = guest_view(&caller->mem, o->data, o->len);
    return data ? tasks_add(s->store.tasks, o, data, TASK_WAITING) : -EFAULT;
}

/* The argument goes into the inbox, as the one buffer of a call. */
static void copy_in(struct skerry_storage *s, const struct task *task)
{
    struct guestmem *mem = &s->machine.mem;
    struct guest_buffer in = {.addr = mem->layout.inbox.begin +
                                      KVM_API_MAX_BUFFERS * sizeof(in),
                              .len = task->len};
    guest_write(mem, in.addr, tasks_data(s->store.tasks, task), in.len);
    guest_write(mem, mem->layout.inbox.begin, &in, sizeof(in));
}

static int is_leaving(const struct skerry_storage *s)
{
    return __atomic_load_n(&s->leaving, __ATOMIC_RELAXED);
}

static enum stop run_slices(struct skerry_storage *s)
{
    enum stop stop;
    do {
        stop = machine_run(&s->machine, clock_now() + SLICE_NS);
    } while (stop == STOP_BUSY && !is_leaving(s));
    return stop;
}

static void fail(struct skerry_storage *s, struct task *task, const char *why)
{
    console_note(s->console, "storage task 0x%lx failed: %s",
                 (unsigned long)task->function, why);
    tasks_fail(s->store.tasks, task, clock_now());
}

/* What it has done, and that it is done, are one commit. */
static void commit(struct skerry_storage *s, struct task *task)
{
    int ret = storage_close_files(s);
    if (ret < 0)
        storage_roll_back(s);
    else
        ret = store_commit(&s->store, storage_written(s));
    if (ret < 0)
        fail(s, task, strerror(-ret));
}

static void finish(struct skerry_storage *s, struct task *task, enum stop stop)
{
    struct machine *m = &s->machine;
    if (stop == STOP_RETURNED && vm_sregs_intact(&m->vm)) {
        commit(s, task);
        return;
    }
    s->broken = 1;
    storage_roll_back(s);
    if (stop == STOP_BUSY)
        task->tries--; /* we leave: another process runs it */
    else
        fail(s, task, m->reason[0] ? m->reason : "state changed");
}

/* With the lock held. 0 or -errno: there are no means for a machine. */
static int run(struct skerry_storage *s, struct task *task)
{
    struct storage_args args = {.function = task->function, .count = 1};
    int ret = storage_mend(s);
    if (ret < 0)
        return ret;
    uint64_t now = clock_now();
    copy_in(s, task);
    s->machine.deadline = now + LIMIT_NS;
    storage_prepare(&s->machine, &args);
    s->machine.look = 0; /* what it returns is ignored */
    store_begin(&s->store);
    tasks_claim(s->store.tasks, task, now);
    finish(s, task, run_slices(s));
    storage_keep_short(s);
    console_flush(s->console);
    return 0;
}

static void give_up(struct skerry_storage *s, struct task *task)
{
    console_note(s->console,
                 "storage task 0x%lx is given up: %d processes ended while it ran",
                 (unsigned long)task->function, TASK_TRIES);
    tasks_give_up(s->store.tasks, task);
}

static int run_due(struct skerry_storage *s)
{
    struct task *task = tasks_due(s->store.tasks, clock_now());
    if (!task || is_leaving(s))
        return 0;
    if (task->tries >= TASK_TRIES) {
        give_up(s, task);
        return 1;
    }
    int ret = run(s, task);
    return ret < 0 ? ret : 1;
}

int skerry_storage_run_task(struct skerry_storage *s)
{
    struct lock_ticket ticket = {0};
    if (skerry_storage_next_task(s) > clock_now() || is_leaving(s))
        return 0;
    int ret = store_take(&s->store, &ticket, clock_now() + WAIT_NS);
    if (ret < 0) {
        lock_forget(&s->store.control->lock, &ticket);
        return ret;
    }
    ret = run_due(s);
    store_give(&s->store);
    return ret;
}

uint64_t skerry_storage_next_task(const struct skerry_storage *s)
{
    return __atomic_load_n(&s->store.tasks->next_due, __ATOMIC_ACQUIRE);
}

void skerry_storage_stop_tasks(struct skerry_storage *s)
{
    __atomic_store_n(&s->leaving, 1, __ATOMIC_RELAXED);
}
