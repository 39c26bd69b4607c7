/* sys_kill.c: signals that a program sends to itself: there is nobody else. */
#include <errno.h>
#include <signal.h>

#include "deliver.h"
#include "syscall.h"

#define GUEST_PID 1

static long send(struct call *c, const struct signal_info *info)
{
    if (info->signal < 0 || info->signal >= SIGNAL_COUNT)
        return -EINVAL;
    if (info->signal == 0)
        return 0;
    struct process *p = c->m->process;
    return signals_send(deliver_thread(c->m), &p->actions[info->signal], info);
}

static long send_own(struct call *c, uint64_t signal, int code)
{
    const struct signal_info info = {
        .signal = (int32_t)signal, .code = code, .word = {GUEST_PID}};
    return send(c, &info);
}

/* 0: all of its group. */
long sys_kill(struct call *c)
{
    int pid = (int)c->arg[0];
    return pid == 0 || pid == GUEST_PID ? send_own(c, c->arg[1], SI_USER) : -ESRCH;
}

static long tkill(struct call *c, int thread, uint64_t signal)
{
    if (thread <= 0)
        return -EINVAL;
    return thread == GUEST_PID ? send_own(c, signal, SI_TKILL) : -ESRCH;
}

long sys_tkill(struct call *c)
{
    return tkill(c, (int)c->arg[0], c->arg[1]);
}

long sys_tgkill(struct call *c)
{
    int group = (int)c->arg[0], thread = (int)c->arg[1];
    if (group <= 0 || thread <= 0)
        return -EINVAL;
    return group == GUEST_PID ? tkill(c, thread, c->arg[2]) : -ESRCH;
}

/* The program says itself what its handler reads. */
static long send_info(struct call *c, int ours, uint64_t signal, uint64_t addr)
{
    struct signal_info info;
    if (guest_read(&c->m->mem, addr, &info, sizeof(info)) < 0)
        return -EFAULT;
    info.signal = (int32_t)signal;
    return ours ? send(c, &info) : -ESRCH;
}

long sys_rt_sigqueueinfo(struct call *c)
{
    return send_info(c, (int)c->arg[0] == GUEST_PID, c->arg[1], c->arg[2]);
}

long sys_rt_tgsigqueueinfo(struct call *c)
{
    int group = (int)c->arg[0], thread = (int)c->arg[1];
    if (group <= 0 || thread <= 0)
        return -EINVAL;
    return send_info(c, group == GUEST_PID && thread == GUEST_PID, c->arg[2],
                     c->arg[3]);
}
