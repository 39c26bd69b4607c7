/* sys_kill.c: signals that a program sends to itself and to its threads: there is
 * nobody else. */
#include <errno.h>
#include <signal.h>

#include "sending.h"
#include "syscall.h"

#define GUEST_PID 1
#define ALL 0 /* no thread has this number: one of them, whichever */

/* Signal 0 only asks if there is somebody. */
static long send(struct call *c, uint32_t tid, const struct signal_info *info)
{
    struct machine *m = c->m;
    if (info->signal < 0 || info->signal >= SIGNAL_COUNT)
        return -EINVAL;
    if (tid != ALL && !threads_has(m, tid))
        return -ESRCH;
    if (info->signal == 0)
        return 0;
    long ret = tid == ALL ? sending_to_program(m, info) : sending_to(m, tid, info);
    c->ends = m->reason[0] != 0;
    return ret;
}

static long send_own(struct call *c, uint32_t tid, uint64_t signal, int code)
{
    const struct signal_info info = {
        .signal = (int32_t)signal, .code = code, .word = {GUEST_PID}};
    return send(c, tid, &info);
}

/* 0: all of its group. */
long sys_kill(struct call *c)
{
    int pid = (int)c->arg[0];
    return pid == 0 || pid == GUEST_PID ? send_own(c, ALL, c->arg[1], SI_USER) : -ESRCH;
}

long sys_tkill(struct call *c)
{
    int thread = (int)c->arg[0];
    return thread > 0 ? send_own(c, (uint32_t)thread, c->arg[1], SI_TKILL) : -EINVAL;
}

long sys_tgkill(struct call *c)
{
    int group = (int)c->arg[0], thread = (int)c->arg[1];
    if (group <= 0 || thread <= 0)
        return -EINVAL;
    return group == GUEST_PID ? send_own(c, (uint32_t)thread, c->arg[2], SI_TKILL)
                              : -ESRCH;
}

/* What only a kernel can have sent, a thread may send to itself. */
static int may_say(const struct call *c, uint32_t to, int code)
{
    return (code < 0 && code != SI_TKILL) || to == threads_tid(c->m);
}

/* The program says itself what its handler reads. */
static long send_info(struct call *c, int group, uint32_t tid, uint64_t signal,
                      uint64_t addr)
{
    struct signal_info info;
    if (guest_read(&c->m->mem, addr, &info, sizeof(info)) < 0)
        return -EFAULT;
    info.signal = (int32_t)signal;
    if (!may_say(c, tid == ALL ? (uint32_t)group : tid, info.code))
        return -EPERM;
    return group == GUEST_PID ? send(c, tid, &info) : -ESRCH;
}

long sys_rt_sigqueueinfo(struct call *c)
{
    return send_info(c, (int)c->arg[0], ALL, c->arg[1], c->arg[2]);
}

long sys_rt_tgsigqueueinfo(struct call *c)
{
    int group = (int)c->arg[0], thread = (int)c->arg[1];
    if (group <= 0 || thread <= 0)
        return -EINVAL;
    return send_info(c, group, (uint32_t)thread, c->arg[2], c->arg[3]);
}
