/* privileges.c: see privileges.h. */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Threads of all workers of one user, who should have no other processes: far more
 * than they need, far fewer than a machine has. */
#define THREADS_MOST 4096

int privileges_freeze(struct skerry_error *err)
{
    int ret = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return ret < 0 ? skerry_fail(err, "no_new_privs") : 0;
}

/* (most) or the hard limit, whichever is lower, for good. */
static int lower(__rlimit_resource_t which, rlim_t most, struct skerry_error *err)
{
    struct rlimit limit;
    if (getrlimit(which, &limit) < 0)
        return skerry_fail(err, "getrlimit");
    if (limit.rlim_max > most)
        limit.rlim_max = most;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(which, &limit) < 0 ? skerry_fail(err, "setrlimit") : 0;
}

int privileges_limit(uint32_t files, struct skerry_error *err)
{
    int ret = lower(RLIMIT_CORE, 0, err);
    return ret == 0 && files ? lower(RLIMIT_NOFILE, files, err) : ret;
}

/* Without CAP_SETPCAP the bounding set stays, and no_new_privs makes it useless. */
static void empty_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int become(uint32_t uid, uint32_t gid, struct skerry_error *err)
{
    if (setgroups(0, NULL) < 0)
        return skerry_fail(err, "setgroups");
    if (setresgid(gid, gid, gid) < 0)
        return skerry_fail(err, "setresgid");
    if (setresuid(uid, uid, uid) < 0)
        return skerry_fail(err, "setresuid");
    return lower(RLIMIT_NPROC, THREADS_MOST, err);
}

/* Of this thread: the kernel has no way to take them from others, but setresuid has. */
static int drop_capabilities(struct skerry_error *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) < 0 ? skerry_fail(err, "capset") : 0;
}

int privileges_drop(uint32_t uid, uint32_t gid, struct skerry_error *err)
{
    int ret = 0, end_with_parent = 0;
    prctl(PR_GET_PDEATHSIG, &end_with_parent, 0, 0, 0);
    empty_bounding_set();
    if (geteuid() == 0 && uid)
        ret = become(uid, gid, err);
    if (ret == 0)
        ret = drop_capabilities(err);
    /* Last: a change of ids sets both anew. */
    if (ret == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        ret = skerry_fail(err, "PR_SET_DUMPABLE");
    if (ret == 0 && prctl(PR_SET_PDEATHSIG, end_with_parent, 0, 0, 0) < 0)
        ret = skerry_fail(err, "PR_SET_PDEATHSIG");
    return ret;
}
