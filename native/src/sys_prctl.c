/* sys_prctl.c: what a program says of itself: the name of a thread, and settings that
 * are kept and told, since nothing follows from them where there is but one process. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "syscall.h"
#include "threads.h"

#define SLACK_NS 50000 /* Linux's own: what timers may be late */
#define NICEST 19      /* the weakest priority that there is */

/* As much of it as there is room for, and zeros behind it. */
static long set_name(struct call *c)
{
    char name[THREAD_NAME] = {0};
    long len = guest_string(&c->m->mem, c->arg[1], name, sizeof(name));
    if (len == -ENAMETOOLONG)
        len = (long)sizeof(name) - 1;
    if (len < 0 || guest_read(&c->m->mem, c->arg[1], name, (uint64_t)len) < 0)
        return -EFAULT;
    memset(c->m->process->name, 0, sizeof(name));
    memcpy(c->m->process->name, name, (size_t)len);
    return 0;
}

/* Until it is told another, a thread is called as its program. */
static long tell_name(struct call *c)
{
    char name[THREAD_NAME] = {0};
    const char *own = c->m->process->name;
    memcpy(name, own[0] ? own : c->m->facts->name, sizeof(name) - 1);
    return guest_write(&c->m->mem, c->arg[1], name, sizeof(name));
}

static long set_dumpable(struct call *c)
{
    if (c->arg[1] > 1)
        return -EINVAL;
    c->m->process->settings.not_dumpable = !c->arg[1];
    return 0;
}

static long set_death_signal(struct call *c)
{
    if (c->arg[1] >= SIGNAL_COUNT)
        return -EINVAL;
    c->m->process->settings.death_signal = (uint32_t)c->arg[1];
    return 0;
}

static long tell_int(struct call *c, uint32_t value)
{
    return guest_write(&c->m->mem, c->arg[1], &value, sizeof(value));
}

static int has_more(const struct call *c, int from)
{
    for (int i = from; i < 5; i++)
        if (c->arg[i])
            return 1;
    return 0;
}

/* It is for ever: there is nothing that a new program could gain. */
static long set_no_new_privileges(struct call *c)
{
    if (c->arg[1] != 1 || has_more(c, 2))
        return -EINVAL;
    c->m->process->settings.no_new_privileges = 1;
    return 0;
}

static long set_slack(struct call *c)
{
    uint64_t slack = c->arg[1];
    c->m->process->settings.slack = (int64_t)slack <= 0 ? 0 : slack;
    return 0;
}

long sys_prctl(struct call *c)
{
    struct settings *s = &c->m->process->settings;
    switch ((int)c->arg[0]) {
    case PR_SET_NAME:
        return set_name(c);
    case PR_GET_NAME:
        return tell_name(c);
    case PR_SET_DUMPABLE:
        return set_dumpable(c);
    case PR_GET_DUMPABLE:
        return !s->not_dumpable;
    case PR_SET_PDEATHSIG:
        return set_death_signal(c);
    case PR_GET_PDEATHSIG:
        return tell_int(c, s->death_signal);
    case PR_SET_CHILD_SUBREAPER:
        s->subreaper = !!c->arg[1];
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return tell_int(c, s->subreaper);
    case PR_SET_NO_NEW_PRIVS:
        return set_no_new_privileges(c);
    case PR_GET_NO_NEW_PRIVS:
        return has_more(c, 1) ? -EINVAL : (long)s->no_new_privileges;
    case PR_SET_TIMERSLACK:
        return set_slack(c);
    case PR_GET_TIMERSLACK:
        return s->slack ? (long)s->slack : SLACK_NS;
    case PR_GET_SECCOMP:
    case PR_GET_KEEPCAPS:
        return 0;
    case PR_CAPBSET_READ:
        return c->arg[1] > CAP_LAST_CAP ? -EINVAL : 0;
    default:
        return -EINVAL;
    }
}

/* --- How nice it is: remembered, as there is nobody to be nice to --- */

/* 0, -EINVAL or -ESRCH. */
static long check_who(const struct call *c)
{
    uint32_t who = (uint32_t)c->arg[1];
    if ((uint32_t)c->arg[0] > PRIO_USER)
        return -EINVAL;
    if ((int)c->arg[0] == PRIO_PROCESS)
        return !who || threads_has(c->m, who) ? 0 : -ESRCH;
    return who <= ((int)c->arg[0] == PRIO_PGRP) ? 0 : -ESRCH;
}

/* From 40 for the strongest to 1, so that no answer is an error. */
long sys_getpriority(struct call *c)
{
    long ret = check_who(c);
    return ret < 0 ? ret : 20 - (long)c->m->process->settings.nice;
}

/* Only downwards: it has no power to go up again. */
long sys_setpriority(struct call *c)
{
    uint32_t *nice = &c->m->process->settings.nice;
    int wanted = (int)c->arg[2] < NICEST ? (int)c->arg[2] : NICEST;
    long ret = check_who(c);
    if (ret < 0)
        return ret;
    if (wanted < (int)*nice)
        return -EACCES;
    *nice = (uint32_t)wanted;
    return 0;
}
