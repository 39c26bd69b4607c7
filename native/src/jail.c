/* jail.c: a process that runs guests keeps what that takes, and gives up the rest.
 *
 * The order: each step needs what a later one takes away. Directories are opened while
 * root may still do it; ids change while there are capabilities; the filter, which
 * refuses all of these calls, comes last. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "landlock.h"
#include "privileges.h"
#include "seccomp.h"

int skerry_jail_prepare(struct skerry_error *err)
{
    int ret = privileges_freeze(err);
    return ret < 0 ? ret : seccomp_refuse_rings(err);
}

static int is_ring(const char *fd)
{
    char path[64], target[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%.20s", fd);
    ssize_t len = readlink(path, target, sizeof(target) - 1);
    if (len < 0)
        return 0;
    target[len] = 0;
    return strstr(target, "[io_uring]") != NULL;
}

/* Counts the entries of a directory for which (is) holds, or -errno. */
static int count(const char *path, int (*is)(const char *), struct skerry_error *err)
{
    int found = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return skerry_fail(err, path);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        found += entry->d_name[0] != '.' && is(entry->d_name);
    closedir(dir);
    return found;
}

/* KVM adds threads to a process that run in the kernel only: PF_USER_WORKER of
 * linux/sched.h, in field 9 of proc_pid_stat(5). */
static int is_other_thread(const char *tid)
{
    char path[64];
    unsigned flags = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", tid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
        flags = 0;
    if (file)
        fclose(file);
    return atoi(tid) != gettid() && !(flags & 0x4000);
}

/* What goes through a ring that exists already would pass the filter unseen. */
static int refuse_rings(struct skerry_error *err)
{
    int rings = count("/proc/self/fd", is_ring, err);
    if (rings > 0)
        return skerry_refuse(err, EBUSY, "jail",
                             "%d io_uring open: make event loops behind "
                             "skerry_jail_prepare",
                             rings);
    return rings;
}

/* Landlock, and the threads that it does not take. */
static int confine(const struct skerry_jail *jail, struct skerry_jail_facts *facts,
                   struct skerry_error *err)
{
    int others = count("/proc/self/task", is_other_thread, err);
    if (others < 0)
        return others;
    int version = landlock_enter(jail->readable, jail->readable_count, err);
    if (version < 0)
        return version;
    facts->landlock = (uint32_t)version;
    facts->outside = landlock_takes_threads(version) ? 0 : (uint32_t)others;
    return 0;
}

int skerry_jail_enter(const struct skerry_jail *jail, struct skerry_jail_facts *facts,
                      struct skerry_error *err)
{
    *facts = (struct skerry_jail_facts){0};
    int ret = refuse_rings(err);
    if (ret == 0)
        ret = privileges_freeze(err);
    if (ret == 0)
        ret = privileges_limit(jail->max_files, err);
    if (ret == 0)
        ret = confine(jail, facts, err);
    if (ret == 0)
        ret = privileges_drop(jail->uid, jail->gid, err);
    int reads = jail->readable_count && facts->landlock;
    return ret < 0 ? ret : seccomp_enter(jail->kill, reads, err);
}
