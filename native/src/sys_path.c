/* sys_path.c: what has a name is opened, or looked for, and is where a program works.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "paths.h"

#define ACCESS_KNOWN 7u /* R_OK, W_OK, X_OK */

static struct descriptors *table(const struct call *c)
{
    return &c->m->process->files;
}

static long open_at(struct call *c, struct name name, uint32_t flags, uint32_t mode)
{
    char path[OPENER_PATH_MAX];
    long len = path_take(c, name, path);
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

/* R_OK is 4, W_OK 2, X_OK 1. */
static long check_access(struct call *c, struct name name, uint64_t mode,
                         uint32_t flags)
{
    struct opener_answer answer;
    uint32_t want = (uint32_t)mode;
    if (want & ~ACCESS_KNOWN)
        return -EINVAL;
    long ret = path_ask(c, name, OPENER_STAT,
                        flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0, &answer);
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
    long ret = path_ask(c, name, OPENER_LINK, 0, &answer);
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
    long ret = path_ask(c, (struct name){AT_FDCWD, c->arg[0]}, OPENER_STAT, 0, &answer);
    if (ret < 0)
        return ret;
    return S_ISDIR(answer.stat.st_mode) ? enter(c, answer.text) : -ENOTDIR;
}

long sys_fchdir(struct call *c)
{
    char path[OPENER_PATH_MAX];
    long len = path_of_directory(c, (int)fd_of(c), path);
    return len < 0 ? len : enter(c, path);
}
