/* sys_proc.c: what a program asks about itself and its machine. */
#include <asm/prctl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "syscall.h"
#include "threads.h"

#define GUEST_PID 1
_Static_assert(LIMIT_COUNT == RLIM_NLIMITS, "a place for each");
#define RANDOM_MOST (32UL << 20)

long sys_zero(struct call *c)
{
    (void)c;
    return 0;
}

long sys_getpid(struct call *c)
{
    (void)c;
    return GUEST_PID;
}

static long set_base(struct machine *m, struct kvm_segment *segment, uint64_t base)
{
    if (base >= 1UL << 47)
        return -EPERM;
    segment->base = base;
    vcpu_set_sregs(&m->vm);
    return 0;
}

long sys_arch_prctl(struct call *c)
{
    struct kvm_sregs *s = &c->m->vm.run->s.regs.sregs;
    switch (c->arg[0]) {
    case ARCH_SET_FS:
        return set_base(c->m, &s->fs, c->arg[1]);
    case ARCH_SET_GS:
        return set_base(c->m, &s->gs, c->arg[1]);
    case ARCH_GET_FS:
        return guest_write(&c->m->mem, c->arg[1], &s->fs.base, 8);
    case ARCH_GET_GS:
        return guest_write(&c->m->mem, c->arg[1], &s->gs.base, 8);
    default:
        return -EINVAL;
    }
}

long sys_uname(struct call *c)
{
    struct utsname name = {.sysname = "Linux",
                           .nodename = "skerry",
                           .release = "6.1.0",
                           .version = "#1 skerry",
                           .machine = "x86_64"};
    return guest_write(&c->m->mem, c->arg[0], &name, sizeof(name));
}

static struct rlimit first_limit(const struct machine *m, uint64_t resource)
{
    switch (resource) {
    case RLIMIT_STACK:
        return (struct rlimit){STACK_SIZE, STACK_SIZE};
    case RLIMIT_AS:
    case RLIMIT_DATA:
        return (struct rlimit){m->facts->max_memory, m->facts->max_memory};
    case RLIMIT_CORE:
        return (struct rlimit){0, 0};
    case RLIMIT_SIGPENDING:
        return (struct rlimit){SIGNALS_QUEUED, SIGNALS_QUEUED};
    case RLIMIT_NOFILE:
        return (struct rlimit){DESCRIPTORS, DESCRIPTORS};
    default:
        return (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    }
}

static struct rlimit limit_of(const struct machine *m, uint32_t resource)
{
    const struct limits *l = &m->process->limits;
    if (l->set >> resource & 1)
        return (struct rlimit){l->now[resource], l->most[resource]};
    return first_limit(m, resource);
}

/* Downwards only, as for anybody without power; descriptors are counted. */
static long set_limit(struct machine *m, uint32_t resource, const struct rlimit *to)
{
    struct limits *l = &m->process->limits;
    if (to->rlim_cur > to->rlim_max)
        return -EINVAL;
    if (to->rlim_max > limit_of(m, resource).rlim_max)
        return -EPERM;
    l->set |= 1UL << resource;
    l->now[resource] = to->rlim_cur;
    l->most[resource] = to->rlim_max;
    if (resource == RLIMIT_NOFILE)
        m->process->files.limit = (uint32_t)to->rlim_cur;
    return 0;
}

long sys_prlimit64(struct call *c)
{
    uint32_t resource = (uint32_t)c->arg[1];
    struct rlimit wanted;
    if (resource >= LIMIT_COUNT)
        return -EINVAL;
    if (c->arg[2] && guest_read(&c->m->mem, c->arg[2], &wanted, sizeof(wanted)) < 0)
        return -EFAULT;
    if (c->arg[0] > GUEST_PID)
        return -ESRCH;
    const struct rlimit limit = limit_of(c->m, resource);
    long ret = c->arg[2] ? set_limit(c->m, resource, &wanted) : 0;
    if (ret < 0 || !c->arg[3])
        return ret;
    return guest_write(&c->m->mem, c->arg[3], &limit, sizeof(limit));
}

/* Up to RANDOM_MOST bytes are given whole, as Linux does. */
long sys_getrandom(struct call *c)
{
    uint64_t len = c->arg[1] < RANDOM_MOST ? c->arg[1] : RANDOM_MOST;
    if (c->arg[2] & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
        !(~c->arg[2] & (GRND_RANDOM | GRND_INSECURE)))
        return -EINVAL;
    uint8_t *dst = guest_window(&c->m->mem, c->arg[0], len);
    if (!dst)
        return -EFAULT;
    ssize_t given = getrandom(dst, len, 0);
    return given < 0 ? -errno : given;
}

long sys_sched_getaffinity(struct call *c)
{
    const uint64_t one_cpu = 1;
    uint32_t tid = (uint32_t)c->arg[0];
    if (tid && !threads_has(c->m, tid))
        return -ESRCH;
    if (c->arg[1] < sizeof(one_cpu) || c->arg[1] % sizeof(one_cpu))
        return -EINVAL;
    long ret = guest_write(&c->m->mem, c->arg[2], &one_cpu, sizeof(one_cpu));
    return ret < 0 ? ret : (long)sizeof(one_cpu);
}

static long seconds_on(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) < 0 ? 0 : t.tv_sec;
}

long sys_sysinfo(struct call *c)
{
    struct sysinfo info;
    memset(&info, 0, sizeof(info)); /* its padding too */
    info.totalram = c->m->facts->max_memory;
    info.freeram = info.totalram / 2;
    info.procs = 1;
    info.uptime = seconds_on(CLOCK_BOOTTIME);
    info.mem_unit = 1;
    return guest_write(&c->m->mem, c->arg[0], &info, sizeof(info));
}

/* As clock_gettime tells it: the time of the host's process. */
long sys_getrusage(struct call *c)
{
    int who = (int)c->arg[0];
    struct timespec used = {0};
    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
        return -EINVAL;
    if (who != RUSAGE_CHILDREN)
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    const struct rusage usage = {.ru_utime = {used.tv_sec, used.tv_nsec / 1000}};
    return guest_write(&c->m->mem, c->arg[1], &usage, sizeof(usage));
}

/* Asked for by every libc, which does without. */
long sys_not_here(struct call *c)
{
    (void)c;
    return -ENOSYS;
}
