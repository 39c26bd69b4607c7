/* sys_event.c: eventfd, a counter to wait for. */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "object_io.h"
#include "waits.h"

#define MOST (UINT64_MAX - 1) /* that a counter gets by writing */

static struct object *event_of(const struct call *c, const struct open_file *file)
{
    return objects_change(&c->m->objects, file->object, OPEN_EVENT);
}

/* What has been taken stays so, as in Linux, when the program may not use (b). */
long event_read(struct call *c, struct open_file *file, const struct buffers *b)
{
    struct object *at = event_of(c, file);
    if (!at || b->total < sizeof(uint64_t))
        return at ? -EINVAL : -EBADF;
    if (!at->event.count)
        return object_wait(c, file, WAITS_FOR_EVER,
                           "an eventfd that nobody can write to");
    uint64_t taken = at->event.one_by_one ? 1 : at->event.count;
    at->event.count -= taken;
    at->wakes[1]++;
    uint64_t put = buffers_put(c, b, 0, &taken, sizeof(taken));
    return put == sizeof(taken) ? (long)put : -EFAULT;
}

long event_write(struct call *c, struct open_file *file, const struct buffers *b)
{
    struct object *at = event_of(c, file);
    uint64_t more;
    if (!at || b->total != sizeof(more))
        return at ? -EINVAL : -EBADF;
    if (buffers_get(c, b, 0, &more, sizeof(more)) < sizeof(more))
        return -EFAULT;
    if (more == UINT64_MAX)
        return -EINVAL;
    if (more > MOST - at->event.count)
        return object_wait(c, file, WAITS_FOR_EVER,
                           "a full eventfd that nobody can read from");
    at->event.count += more;
    at->wakes[0]++;
    return sizeof(more);
}

uint32_t event_ready(const struct machine *m, const struct open_file *file)
{
    const struct object *at = objects_find(&m->objects, file->object, OPEN_EVENT);
    uint64_t count = at ? at->event.count : 0;
    return (count ? POLLIN : 0) | (count < MOST ? POLLOUT : 0);
}

static long make(struct call *c, uint32_t flags)
{
    struct object *made;
    if (flags & ~(uint32_t)(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
        return -EINVAL;
    long fd =
        object_new(c, OPEN_EVENT, O_RDWR | (flags & ~(uint32_t)EFD_SEMAPHORE), &made);
    if (fd >= 0) {
        made->event.count = (uint32_t)c->arg[0];
        made->event.one_by_one = !!(flags & EFD_SEMAPHORE);
    }
    return fd;
}

long sys_eventfd(struct call *c)
{
    return make(c, 0);
}

long sys_eventfd2(struct call *c)
{
    return make(c, (uint32_t)c->arg[1]);
}
