/* sys_path.c: what has a name. A path is made absolute here, and taken apart by the
 * opener, which alone decides what there is: nothing else of the host is there. */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "syscall.h"

#define OPENER_NS 2000000000UL /* for one answer */
#define ACCESS_KNOWN 7u        /* R_OK, W_OK, X_OK */
#define LOOK_FLAGS ((uint32_t)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
#define STATX_FLAGS (LOOK_FLAGS | 0x6000u) /* AT_STATX_SYNC_TYPE: all the same here */

/* Which path a call is about: relative to descriptor (at). */
struct name {
    int at;
    uint64_t addr;
};

uint64_t file_until(const struct machine *m)
{
    uint64_t until = clock_now() + OPENER_NS;
    return until < m->deadline ? until : m->deadline;
}

static struct descriptors *table(const struct call *c)
{
    return &c->m->process->files;
}

static long put_at_end(char *to, size_t used, const char *path)
{
    size_t len = strlen(path);
    if (used + 1 + len >= OPENER_PATH_MAX)
        return -ENAMETOOLONG;
    to[used] = '/';
    memcpy(to + used + 1, path, len + 1);
    return 0;
}

/* Where descriptor (at), a directory, is: puts its path into (to). Length or -errno. */
static long path_of(struct call *c, int at, char *to)
{
    const struct call other = {c->m, {(uint64_t)at}, 0, 0, 0};
    struct handle h;
    if (at == AT_FDCWD) {
        strcpy(to, table(c)->directory);
        return (long)strlen(to);
    }
    int ret = handle_of(&other, &h);
    if (ret < 0)
        return ret;
    if (h.file->kind != OPEN_DIRECTORY)
        return -ENOTDIR;
    ssize_t n = pread(h.host, to, OPENER_PATH_MAX - 1, OPENER_PATH_AT);
    if (n < 0)
        return -EIO;
    to[n] = 0;
    return (long)strlen(to);
}

/* The absolute path that (name) means. Its length, 0 if it is empty, or -errno. */
static long take_path(struct call *c, struct name name, char to[OPENER_PATH_MAX])
{
    char path[OPENER_PATH_MAX];
    long len = guest_string(&c->m->mem, name.addr, path, sizeof(path));
    if (len <= 0)
        return len;
    if (path[0] == '/') {
        memcpy(to, path, (size_t)len + 1);
        return len;
    }
    long used = path_of(c, name.at, to);
    long ret = used < 0 ? used : put_at_end(to, (size_t)used, path);
    return ret < 0 ? ret : (long)strlen(to);
}

static long ask(struct call *c, struct name name, enum opener_what what, uint32_t flags,
                struct opener_answer *answer)
{
    char path[OPENER_PATH_MAX];
    long len = take_path(c, name, path);
    if (len <= 0)
        return len < 0 ? len : -ENOENT;
    return files_ask(&c->m->files, what, flags, path, file_until(c->m), answer);
}

static long open_at(struct call *c, struct name name, uint32_t flags, uint32_t mode)
{
    char path[OPENER_PATH_MAX];
    long len = take_path(c, name, path);
    if (len <= 0)
        return len < 0 ? len : -ENOENT;
    mode &= ~(uint32_t)c->m->process->umask;
    return files_open(&c->m->files, table(c), path, flags, mode, file_until(c->m));
}

long sys_open(struct call *c)
{
    return open_at(c, (struct name){AT_FDCWD, c->arg[0]}, (uint32_t)c->arg[1],
                   (uint32_t)c->arg[2]);
}

long sys_openat(struct call *c)
{
    return open_at(c, (struct name){(int)c->arg[0], c->arg[1]}, (uint32_t)c->arg[2],
                   (uint32_t)c->arg[3]);
}

long sys_creat(struct call *c)
{
    return open_at(c, (struct name){AT_FDCWD, c->arg[0]}, O_CREAT | O_WRONLY | O_TRUNC,
                   (uint32_t)c->arg[1]);
}

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
    long ret = files_ask(&c->m->files, OPENER_STAT, 0, table(c)->directory,
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
    long ret = ask(c, name, OPENER_STAT, flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0,
                   &answer);
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

/* R_OK is 4, W_OK 2, X_OK 1. */
static long check_access(struct call *c, struct name name, uint64_t mode,
                         uint32_t flags)
{
    struct opener_answer answer;
    uint32_t want = (uint32_t)mode;
    if (want & ~ACCESS_KNOWN)
        return -EINVAL;
    long ret = ask(c, name, OPENER_STAT, flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0,
                   &answer);
    if (ret < 0)
        return ret;
    if ((want & R_OK && !(answer.may & OPENER_READABLE)) ||
        (want & W_OK && !(answer.may & OPENER_WRITABLE)) ||
        (want & X_OK && !(answer.may & OPENER_EXECUTABLE)))
        return -EACCES;
    return 0;
}

long sys_access(struct call *c)
{
    return check_access(c, (struct name){AT_FDCWD, c->arg[0]}, c->arg[1], 0);
}

long sys_faccessat(struct call *c)
{
    return check_access(c, (struct name){(int)c->arg[0], c->arg[1]}, c->arg[2], 0);
}

long sys_faccessat2(struct call *c)
{
    uint32_t flags = (uint32_t)c->arg[3];
    if (flags & ~(uint32_t)(AT_EACCESS | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    return check_access(c, (struct name){(int)c->arg[0], c->arg[1]}, c->arg[2], flags);
}

static long read_link(struct call *c, struct name name, uint64_t addr, uint64_t size)
{
    struct opener_answer answer;
    if ((int)size <= 0)
        return -EINVAL;
    long ret = ask(c, name, OPENER_LINK, 0, &answer);
    if (ret < 0)
        return ret;
    uint64_t len = answer.text_len < (uint32_t)size ? answer.text_len : (uint32_t)size;
    ret = guest_write(&c->m->mem, addr, answer.text, len);
    return ret < 0 ? ret : (long)len;
}

long sys_readlink(struct call *c)
{
    return read_link(c, (struct name){AT_FDCWD, c->arg[0]}, c->arg[1], c->arg[2]);
}

long sys_readlinkat(struct call *c)
{
    return read_link(c, (struct name){(int)c->arg[0], c->arg[1]}, c->arg[2], c->arg[3]);
}

/* The host's directory is not the program's to see: this is its own. */
long sys_getcwd(struct call *c)
{
    uint64_t len = strlen(table(c)->directory) + 1;
    if (c->arg[1] < len)
        return -ERANGE;
    long ret = guest_write(&c->m->mem, c->arg[0], table(c)->directory, len);
    return ret < 0 ? ret : (long)len;
}

static long enter(struct call *c, const char *path)
{
    size_t len = strlen(path);
    if (len >= DIRECTORY_MAX)
        return -ENAMETOOLONG;
    memcpy(table(c)->directory, path, len + 1);
    return 0;
}

long sys_chdir(struct call *c)
{
    struct opener_answer answer;
    long ret = ask(c, (struct name){AT_FDCWD, c->arg[0]}, OPENER_STAT, 0, &answer);
    if (ret < 0)
        return ret;
    return S_ISDIR(answer.stat.st_mode) ? enter(c, answer.text) : -ENOTDIR;
}

long sys_fchdir(struct call *c)
{
    char path[OPENER_PATH_MAX];
    long len = path_of(c, (int)fd_of(c), path);
    return len < 0 ? len : enter(c, path);
}
