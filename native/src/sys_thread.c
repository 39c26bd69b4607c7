/* sys_thread.c: threads are made, end, and yield. */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>

#include "home.h"
#include "swap.h"
#include "sys_futex_pi.h"
#include "syscall.h"
#include "turns.h"
#include "waiting.h"

/* Memory, files and signals are the process's, and there is one process. */
#define SHARED (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define TAKEN                                                                          \
    (SHARED | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |                     \
     CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED | CSIGNAL)
#define ADDRESSES (1UL << 47)
#define ROBUST_MOST 2048 /* entries of a list, as in Linux */
#define ANY_BITS FUTEX_BITSET_MATCH_ANY

struct clone {
    uint64_t flags, stack, parent_tid, child_tid, fs_base;
};

/* 0; -ENOSYS for a process, which is not there; -EINVAL; -EPERM. */
static long check(const struct clone *k)
{
    if (!(k->flags & CLONE_THREAD))
        return -ENOSYS;
    if ((k->flags & SHARED) != SHARED || (uint32_t)k->flags & ~(uint32_t)TAKEN)
        return -EINVAL;
    if (k->flags & CLONE_SETTLS && k->fs_base >= ADDRESSES)
        return -EPERM;
    return 0;
}

/* The child begins as its parent is, whose registers are noted in place (i). */
static void begin(struct machine *m, uint32_t i, uint32_t tid, const struct clone *k)
{
    struct thread *child = &m->threads->at[i];
    child->tid = tid;
    child->regs.rax = 0;
    if (k->stack)
        child->regs.rsp = k->stack;
    if (k->flags & CLONE_SETTLS)
        child->fs.base = k->fs_base;
    child->clear_tid = k->flags & CLONE_CHILD_CLEARTID ? k->child_tid : 0;
    child->robust_list = 0;
    child->signals = (struct thread_signals){.mask = child->signals.mask};
    m->threads->count++;
    waiting_end(m->threads, child);
    turns_more(m);
}

/* Linux ignores it as well when the tid cannot be written. */
static void tell_tid(struct machine *m, uint32_t tid, const struct clone *k)
{
    if (k->flags & CLONE_PARENT_SETTID)
        guest_write(&m->mem, k->parent_tid, &tid, sizeof(tid));
    if (k->flags & CLONE_CHILD_SETTID)
        guest_write(&m->mem, k->child_tid, &tid, sizeof(tid));
}

static long make(struct machine *m, const struct clone *k)
{
    uint32_t tid;
    int place = threads_make(m);
    if (place == 0)
        place = threads_place(m->threads, &tid);
    if (place < 0)
        return -EAGAIN;
    int ret = swap_out(m, (uint32_t)place);
    if (ret < 0)
        return ret;
    begin(m, (uint32_t)place, tid, k);
    tell_tid(m, tid, k);
    return tid;
}

long sys_clone(struct call *c)
{
    struct machine *m = c->m;
    const struct clone k = {c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4]};
    long ret = check(&k);
    if (ret < 0)
        return ret;
    if (m->facts->is_storage && !m->booting)
        ret = machine_fail(m, "makes a thread in storage: they are for start-up only");
    else if (!swap_in_call(m))
        ret = machine_fail(m, "makes a thread without `syscall`");
    else
        ret = make(m, &k);
    c->ends = m->reason[0] != 0;
    return ret;
}

/* --- The end --- */

/* A thread ends that holds what lies at (addr): who takes it next is told so. 0, or
 * -EFAULT. (is_last): the one that it was about to take or to give back. */
static int leave_futex(struct machine *m, uint64_t addr, int is_last)
{
    uint32_t value;
    if (addr % sizeof(value) || guest_read(&m->mem, addr, &value, sizeof(value)) < 0)
        return -EFAULT;
    if (is_last && !value)
        turns_wake(m, addr, ANY_BITS, 1);
    if ((value & FUTEX_TID_MASK) != threads_tid(m))
        return 0;
    uint32_t dead = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    if (guest_write(&m->mem, addr, &dead, sizeof(dead)) < 0)
        return -EFAULT;
    if (value & FUTEX_WAITERS)
        turns_wake(m, addr, ANY_BITS, 1);
    return 0;
}

/* The lowest bit of an address there tells of a kind that we do not have. */
static uint64_t plain(uint64_t entry)
{
    return entry & ~1UL;
}

/* The list is the program's: what is wrong in it ends the walk. */
static void leave_robust_list(struct machine *m, uint64_t list)
{
    struct {
        uint64_t next, offset, pending;
    } head;
    if (!list || guest_read(&m->mem, list, &head, sizeof(head)) < 0)
        return;
    uint64_t entry = plain(head.next), pending = plain(head.pending);
    for (int i = 0; i < ROBUST_MOST && entry != list; i++) {
        uint64_t next;
        if (guest_read(&m->mem, entry, &next, sizeof(next)) < 0)
            return;
        if (entry != pending && leave_futex(m, entry + head.offset, 0) < 0)
            return;
        entry = plain(next);
    }
    if (pending)
        leave_futex(m, pending + head.offset, 1);
}

static void clear_tid(struct machine *m, uint64_t addr)
{
    const uint32_t none = 0;
    if (addr && guest_write(&m->mem, addr, &none, sizeof(none)) == 0)
        turns_wake(m, addr, ANY_BITS, 1);
}

long sys_exit_group(struct call *c)
{
    c->ends = c->m->exited = 1;
    c->m->exit_status = (int)c->arg[0] & 0xff;
    return machine_fail(c->m, "exited with status %d", c->m->exit_status);
}

/* The program ends with its last thread, and a request with the one that has it. */
long sys_exit(struct call *c)
{
    struct machine *m = c->m;
    if (!m->threads || m->threads->count == 1)
        return sys_exit_group(c);
    if (!m->booting && home_runs(m)) {
        c->ends = 1;
        return machine_fail(m, "the callback's thread ended without a response");
    }
    futex_leave_locks(m);
    leave_robust_list(m, m->process->robust_list);
    clear_tid(m, m->process->clear_tid);
    turns_end(m);
    return 0;
}

/* --- What they know of themselves --- */

long sys_gettid(struct call *c)
{
    return threads_tid(c->m);
}

long sys_set_tid_address(struct call *c)
{
    c->m->process->clear_tid = c->arg[0];
    return threads_tid(c->m);
}

#define ROBUST_HEAD 24 /* bytes */

long sys_set_robust_list(struct call *c)
{
    if (c->arg[1] != ROBUST_HEAD)
        return -EINVAL;
    c->m->process->robust_list = c->arg[0];
    return 0;
}

static long robust_list_of(const struct machine *m, uint32_t tid, uint64_t *list)
{
    *list = m->process->robust_list;
    if (tid == 0 || tid == threads_tid(m))
        return 0;
    const struct thread *other = m->threads ? threads_find(m->threads, tid) : NULL;
    if (!other)
        return -ESRCH;
    *list = other->robust_list;
    return 0;
}

long sys_get_robust_list(struct call *c)
{
    const uint64_t size = ROBUST_HEAD;
    struct guestmem *mem = &c->m->mem;
    uint64_t list;
    long ret = robust_list_of(c->m, (uint32_t)c->arg[0], &list);
    if (ret == 0)
        ret = guest_write(mem, c->arg[2], &size, sizeof(size));
    return ret < 0 ? ret : guest_write(mem, c->arg[1], &list, sizeof(list));
}

long sys_sched_yield(struct call *c)
{
    if (c->m->threads)
        turns_yield(c->m);
    return 0;
}
