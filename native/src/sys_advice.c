/* sys_advice.c: files, and what a program says or asks of them all at once: advice,
 * which changes nothing; what is on its way to a disk; the file system they are on. */
#include <errno.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "syscall.h"

#define ADVICE_LAST POSIX_FADV_NOREUSE
#define FILE_SYSTEM 0xef53 /* EXT4_SUPER_MAGIC: what programs take to be usual */
#define BLOCK 4096
#define NAME_LONGEST 255

/* 0 for something that advice can be given for; -EBADF; -ESPIPE. */
static long check_file(const struct call *c, struct handle *h)
{
    int ret = handle_of(c, h);
    if (ret < 0)
        return ret;
    return h->file->kind == OPEN_PIPE ? -ESPIPE : 0;
}

long sys_fadvise64(struct call *c)
{
    struct handle h;
    long ret = check_file(c, &h);
    if (ret < 0)
        return ret;
    return (int64_t)c->arg[2] < 0 || (uint32_t)c->arg[3] > ADVICE_LAST ? -EINVAL : 0;
}

long sys_readahead(struct call *c)
{
    struct handle h;
    int ret = handle_of(c, &h);
    if (ret < 0 || (h.file->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    return h.file->kind == OPEN_FILE || h.file->kind == OPEN_STATE ? 0 : -EINVAL;
}

/* Each file is synced by its own fsync; the host's are not the program's to wait for.
 */
long sys_syncfs(struct call *c)
{
    struct handle h;
    return handle_of(c, &h);
}

static long give_file_system(struct call *c)
{
    const struct statfs s = {.f_type = FILE_SYSTEM,
                             .f_bsize = BLOCK,
                             .f_frsize = BLOCK,
                             .f_namelen = NAME_LONGEST};
    return guest_write(&c->m->mem, c->arg[1], &s, sizeof(s));
}

/* Where a file is that there is. */
long sys_statfs(struct call *c)
{
    struct call look = {c->m, {c->arg[0], F_OK}, 0, 0, 0};
    long ret = sys_access(&look);
    return ret < 0 ? ret : give_file_system(c);
}

long sys_fstatfs(struct call *c)
{
    struct handle h;
    int ret = handle_of(c, &h);
    return ret < 0 ? ret : give_file_system(c);
}
