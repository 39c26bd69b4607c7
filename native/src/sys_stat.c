/* sys_stat.c: what files are, by their names and by their descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "paths.h"

#define LOOK_FLAGS ((uint32_t)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
#define STATX_FLAGS (LOOK_FLAGS | 0x6000u) /* AT_STATX_SYNC_TYPE: all the same here */

static long stat_handle(const struct call *c, struct stat *st)
{
    struct handle h;
    int ret = handle_of(c, &h);
    return ret < 0 ? ret : file_stat(&h, st);
}

/* AT_EMPTY_PATH: of the descriptor itself, which may be the working directory. */
static long stat_empty(struct call *c, int at, struct stat *st)
{
    const struct call other = {c->m, {(uint64_t)at}, 0, 0, 0};
    struct opener_answer answer;
    if (at != AT_FDCWD)
        return stat_handle(&other, st);
    long ret = files_ask(&c->m->files, OPENER_STAT, 0, c->m->process->files.directory,
                         file_until(c->m), &answer);
    *st = answer.stat;
    return ret;
}

/* What (name) is, by the flags of newfstatat. */
static long look(struct call *c, struct name name, uint32_t flags, struct stat *st)
{
    struct opener_answer answer = {0};
    char first;
    if (flags & AT_EMPTY_PATH && guest_read(&c->m->mem, name.addr, &first, 1) == 0 &&
        !first)
        return stat_empty(c, name.at, st);
    long ret = path_ask(c, name, OPENER_STAT,
                        flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0, &answer);
    *st = answer.stat;
    return ret;
}

static long give_stat(struct call *c, long ret, const struct stat *st, uint64_t addr)
{
    return ret < 0 ? ret : guest_write(&c->m->mem, addr, st, sizeof(*st));
}

long sys_fstat(struct call *c)
{
    struct stat st;
    long ret = stat_handle(c, &st);
    return give_stat(c, ret, &st, c->arg[1]);
}

long sys_stat(struct call *c)
{
    struct stat st;
    long ret = look(c, (struct name){AT_FDCWD, c->arg[0]}, 0, &st);
    return give_stat(c, ret, &st, c->arg[1]);
}

long sys_lstat(struct call *c)
{
    struct stat st;
    long ret = look(c, (struct name){AT_FDCWD, c->arg[0]}, AT_SYMLINK_NOFOLLOW, &st);
    return give_stat(c, ret, &st, c->arg[1]);
}

long sys_newfstatat(struct call *c)
{
    struct stat st;
    if ((uint32_t)c->arg[3] & ~LOOK_FLAGS)
        return -EINVAL;
    struct name name = {(int)c->arg[0], c->arg[1]};
    long ret = look(c, name, (uint32_t)c->arg[3], &st);
    return give_stat(c, ret, &st, c->arg[2]);
}

/* Extended attributes: nothing has any, and no room for them. */
long sys_getxattr(struct call *c)
{
    struct stat st;
    long ret = look(c, (struct name){AT_FDCWD, c->arg[0]}, 0, &st);
    return ret < 0 ? ret : -EOPNOTSUPP;
}

long sys_lgetxattr(struct call *c)
{
    struct stat st;
    long ret = look(c, (struct name){AT_FDCWD, c->arg[0]}, AT_SYMLINK_NOFOLLOW, &st);
    return ret < 0 ? ret : -EOPNOTSUPP;
}

long sys_fgetxattr(struct call *c)
{
    struct handle h;
    int ret = handle_of(c, &h);
    return ret < 0 ? ret : -EOPNOTSUPP;
}

static struct statx_timestamp time_of(struct timespec t)
{
    return (struct statx_timestamp){.tv_sec = t.tv_sec, .tv_nsec = (uint32_t)t.tv_nsec};
}

static struct statx extend(const struct stat *st)
{
    return (struct statx){.stx_mask = STATX_BASIC_STATS,
                          .stx_blksize = (uint32_t)st->st_blksize,
                          .stx_nlink = (uint32_t)st->st_nlink,
                          .stx_uid = st->st_uid,
                          .stx_gid = st->st_gid,
                          .stx_mode = (uint16_t)st->st_mode,
                          .stx_ino = st->st_ino,
                          .stx_size = (uint64_t)st->st_size,
                          .stx_blocks = (uint64_t)st->st_blocks,
                          .stx_atime = time_of(st->st_atim),
                          .stx_ctime = time_of(st->st_ctim),
                          .stx_mtime = time_of(st->st_mtim),
                          .stx_rdev_major = major(st->st_rdev),
                          .stx_rdev_minor = minor(st->st_rdev),
                          .stx_dev_major = major(st->st_dev),
                          .stx_dev_minor = minor(st->st_dev)};
}

long sys_statx(struct call *c)
{
    struct stat st;
    uint32_t flags = (uint32_t)c->arg[2];
    if (flags & ~STATX_FLAGS || c->arg[3] & STATX__RESERVED)
        return -EINVAL;
    long ret = look(c, (struct name){(int)c->arg[0], c->arg[1]}, flags, &st);
    if (ret < 0)
        return ret;
    struct statx wide = extend(&st);
    return guest_write(&c->m->mem, c->arg[4], &wide, sizeof(wide));
}
