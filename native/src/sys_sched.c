/* sys_sched.c: the scheduling of a program: there is one CPU, and nothing to choose. */
#include <errno.h>
#include <sched.h>
#include <sys/times.h>

#include "syscall.h"

#define REALTIME_MAX 99    /* priority of SCHED_FIFO and SCHED_RR */
#define TICK_NS 10000000UL /* of times(): 100 a second */
#define KNOWN_POLICY(p) ((p) <= SCHED_RR || (p) == SCHED_BATCH || (p) == SCHED_IDLE)

static int is_realtime(uint32_t policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* 0 for the program itself, or -EINVAL, -ESRCH. */
static long check_pid(uint64_t pid)
{
    return (int)pid < 0 ? -EINVAL : (uint32_t)pid > 1 ? -ESRCH : 0;
}

long sys_sched_getscheduler(struct call *c)
{
    long ret = check_pid(c->arg[0]);
    return ret < 0 ? ret : SCHED_OTHER;
}

long sys_sched_getparam(struct call *c)
{
    long ret = c->arg[1] ? check_pid(c->arg[0]) : -EINVAL;
    return ret < 0 ? ret : guest_zero(&c->m->mem, c->arg[1], sizeof(int));
}

/* Takes what changes nothing. */
static long set_policy(struct call *c, uint32_t policy, uint64_t addr)
{
    int priority;
    long ret = addr ? check_pid(c->arg[0]) : -EINVAL;
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
    long ret = check_pid(c->arg[0]);
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

/* As getrusage, it tells no times of the program's own. */
long sys_times(struct call *c)
{
    if (c->arg[0] && guest_zero(&c->m->mem, c->arg[0], sizeof(struct tms)) < 0)
        return -EFAULT;
    return (long)(clock_now() / TICK_NS);
}

/* One CPU has no other whose view of memory could differ. */
long sys_membarrier(struct call *c)
{
    return c->arg[0] ? -EINVAL : 0;
}
