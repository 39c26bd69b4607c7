/* sys_sched.c: the scheduling of a program: there is one CPU, and nothing to choose. */
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/times.h>

#include "syscall.h"
#include "threads.h"

#define REALTIME_MAX 99 /* priority of SCHED_FIFO and SCHED_RR */
#define SECOND_NS 1000000000UL
#define TICK_NS 10000000UL /* of times(): 100 a second */
#define KNOWN_POLICY(p) ((p) <= SCHED_RR || (p) == SCHED_BATCH || (p) == SCHED_IDLE)

static int is_realtime(uint32_t policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* 0 for a thread of the program, or -EINVAL, -ESRCH. */
static long check_pid(const struct call *c)
{
    uint32_t tid = (uint32_t)c->arg[0];
    if ((int)tid < 0)
        return -EINVAL;
    return !tid || threads_has(c->m, tid) ? 0 : -ESRCH;
}

long sys_sched_getscheduler(struct call *c)
{
    long ret = check_pid(c);
    return ret < 0 ? ret : SCHED_OTHER;
}

long sys_sched_getparam(struct call *c)
{
    long ret = c->arg[1] ? check_pid(c) : -EINVAL;
    return ret < 0 ? ret : guest_zero(&c->m->mem, c->arg[1], sizeof(int));
}

/* Takes what changes nothing. */
static long set_policy(struct call *c, uint32_t policy, uint64_t addr)
{
    int priority;
    long ret = addr ? check_pid(c) : -EINVAL;
    if (ret == 0)
        ret = guest_read(&c->m->mem, addr, &priority, sizeof(priority));
    if (ret < 0)
        return ret;
    if (!KNOWN_POLICY(policy) || priority < 0 || priority > REALTIME_MAX ||
        is_realtime(policy) != (priority != 0))
        return -EINVAL;
    return is_realtime(policy) ? -EPERM : 0;
}

long sys_sched_setscheduler(struct call *c)
{
    return (int)c->arg[1] < 0 ? -EINVAL : set_policy(c, (uint32_t)c->arg[1], c->arg[2]);
}

long sys_sched_setparam(struct call *c)
{
    return set_policy(c, SCHED_OTHER, c->arg[1]);
}

static long priority_limit(struct call *c, long realtime)
{
    uint32_t policy = (uint32_t)c->arg[0];
    if (is_realtime(policy))
        return realtime;
    return KNOWN_POLICY(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

long sys_sched_get_priority_max(struct call *c)
{
    return priority_limit(c, REALTIME_MAX);
}

long sys_sched_get_priority_min(struct call *c)
{
    return priority_limit(c, 1);
}

long sys_sched_setaffinity(struct call *c)
{
    uint8_t cpus;
    long ret = check_pid(c);
    if (ret == 0 && c->arg[1])
        ret = guest_read(&c->m->mem, c->arg[2], &cpus, sizeof(cpus));
    if (ret < 0)
        return ret == -EINVAL ? -ESRCH : ret;
    return c->arg[1] && cpus & 1 ? 0 : -EINVAL;
}

/* CPU 0 of node 0. */
long sys_getcpu(struct call *c)
{
    for (int i = 0; i < 2; i++)
        if (c->arg[i] && guest_zero(&c->m->mem, c->arg[i], sizeof(uint32_t)) < 0)
            return -EFAULT;
    return 0;
}

/* As getrusage, in ticks. */
long sys_times(struct call *c)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    const struct tms t = {.tms_utime = used.tv_sec * (long)(SECOND_NS / TICK_NS) +
                                       used.tv_nsec / (long)TICK_NS};
    if (c->arg[0] && guest_write(&c->m->mem, c->arg[0], &t, sizeof(t)) < 0)
        return -EFAULT;
    return (long)(clock_now() / TICK_NS);
}

/* How long a thread runs before others have their turn. */
long sys_sched_rr_get_interval(struct call *c)
{
    const struct timespec slice = {.tv_nsec = 4000000};
    long ret = check_pid(c);
    return ret < 0 ? ret : guest_write(&c->m->mem, c->arg[1], &slice, sizeof(slice));
}

/* --- membarrier: one CPU has no other whose view of memory could differ --- */

#define REGISTERS                                                                      \
    (MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |                                        \
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |                                       \
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)
#define NEED_REGISTERING                                                               \
    (MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)
#define COMMANDS                                                                       \
    (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | REGISTERS |             \
     NEED_REGISTERING)

/* The command that registers for another is the next bit. */
long sys_membarrier(struct call *c)
{
    uint32_t command = (uint32_t)c->arg[0], *registered;
    registered = &c->m->process->settings.barriers;
    if (c->arg[1] || command & (command - 1) || command & ~(uint32_t)COMMANDS)
        return -EINVAL;
    if (!command)
        return COMMANDS;
    if (command & NEED_REGISTERING && !(*registered & command << 1))
        return -EPERM;
    *registered |= command & REGISTERS;
    return 0;
}
