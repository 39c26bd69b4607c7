/* sys_lock.c: fcntl()'s record locks. They belong to a process, and a process never
 * stands in its own way: as the guest is one, every lock that is well asked for is
 * granted at once, none is ever found, and there is nothing to remember. Who opens the
 * same file elsewhere, on the host or in another machine, learns nothing of them. */
#include "sys_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The offset that (whence) counts from, or -errno. */
static int64_t base_of(const struct handle *h, int whence)
{
    struct stat st;
    if (whence == SEEK_SET)
        return 0;
    if (whence == SEEK_CUR)
        return h->file->kind < OPEN_MEMORY ? 0 : (int64_t)h->file->offset;
    if (whence != SEEK_END)
        return -EINVAL;
    int ret = file_stat(h, &st);
    return ret < 0 ? ret : st.st_size;
}

/* The bytes from l_start on, l_len of them; before it, if that is negative. */
static int check_range(const struct handle *h, const struct flock *lock)
{
    int64_t from = base_of(h, lock->l_whence), to;
    if (from < 0)
        return (int)from;
    if (__builtin_add_overflow(from, lock->l_start, &from))
        return -EOVERFLOW;
    if (from < 0)
        return -EINVAL;
    if (lock->l_len > 0)
        return __builtin_add_overflow(from, lock->l_len - 1, &to) ? -EOVERFLOW : 0;
    return from + lock->l_len < 0 ? -EINVAL : 0;
}

/* Who is to read under a lock reads, and who is to write writes. */
static int check_access(const struct open_file *file, int type)
{
    uint32_t mode = file->flags & O_ACCMODE;
    if ((type == F_RDLCK && mode == O_WRONLY) || (type == F_WRLCK && mode == O_RDONLY))
        return -EBADF;
    return 0;
}

long lock_records(struct call *c, const struct handle *h)
{
    struct flock lock;
    int asks = (uint32_t)c->arg[1] == F_GETLK;
    if (guest_read(&c->m->mem, c->arg[2], &lock, sizeof(lock)) < 0)
        return -EFAULT;
    if (asks && lock.l_type != F_RDLCK && lock.l_type != F_WRLCK)
        return -EINVAL;
    int ret = check_range(h, &lock);
    if (ret < 0)
        return ret;
    if (lock.l_type < F_RDLCK || lock.l_type > F_UNLCK)
        return -EINVAL;
    if (!asks)
        return check_access(h->file, lock.l_type);
    lock.l_type = F_UNLCK;
    return guest_write(&c->m->mem, c->arg[2], &lock, sizeof(lock));
}
