/* sys_who.c: who a program is: user 0 without any power, alone in its group. */
#include <errno.h>
#include <linux/capability.h>

#include "syscall.h"

#define ALONE 1 /* its process, its group and its session */

/* (pid) is the program's own, or 0 for itself. */
static long of_itself(uint64_t pid)
{
    return (uint32_t)pid <= ALONE ? ALONE : -ESRCH;
}

long sys_getpgrp(struct call *c)
{
    (void)c;
    return ALONE;
}

long sys_getpgid(struct call *c)
{
    return of_itself(c->arg[0]);
}

/* getresuid and getresgid: three times 0. */
long sys_getresuid(struct call *c)
{
    for (int i = 0; i < 3; i++)
        if (guest_zero(&c->m->mem, c->arg[i], sizeof(uint32_t)) < 0)
            return -EFAULT;
    return 0;
}

long sys_getgroups(struct call *c)
{
    return (int)c->arg[0] < 0 ? -EINVAL : 0;
}

/* What a program creates has its mode, less this. */
long sys_umask(struct call *c)
{
    uint64_t *mask = &c->m->process->umask, was = *mask;
    *mask = (uint32_t)c->arg[0] & 0777;
    return (long)was;
}

/* The version of the header tells how much is behind the second argument. */
static long capabilities_size(uint32_t version)
{
    switch (version) {
    case _LINUX_CAPABILITY_VERSION_1:
        return _LINUX_CAPABILITY_U32S_1;
    case _LINUX_CAPABILITY_VERSION_2:
    case _LINUX_CAPABILITY_VERSION_3:
        return _LINUX_CAPABILITY_U32S_3;
    default:
        return -EINVAL;
    }
}

/* None. An unknown version is answered with the one that is known. */
long sys_capget(struct call *c)
{
    const uint32_t known = _LINUX_CAPABILITY_VERSION_3;
    struct __user_cap_header_struct head;
    if (guest_read(&c->m->mem, c->arg[0], &head, sizeof(head)) < 0)
        return -EFAULT;
    long words = capabilities_size(head.version);
    if (words < 0) {
        if (guest_write(&c->m->mem, c->arg[0], &known, sizeof(known)) < 0)
            return -EFAULT;
        return c->arg[1] ? words : 0;
    }
    if (!c->arg[1])
        return 0;
    if (head.pid < 0)
        return -EINVAL;
    if (of_itself((uint64_t)head.pid) < 0)
        return -ESRCH;
    return guest_zero(&c->m->mem, c->arg[1],
                      (uint64_t)words * sizeof(struct __user_cap_data_struct));
}

/* Asked with -1 it tells: an ordinary Linux, which it stays. */
long sys_personality(struct call *c)
{
    uint32_t wanted = (uint32_t)c->arg[0];
    return wanted == 0 || wanted == UINT32_MAX ? 0 : -EINVAL;
}
