/* sys_poll.c: poll and select: what is ready of some descriptors. */
#include <errno.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/time.h>

#include "object_io.h"
#include "waits.h"

#define WORD 64 /* descriptors in a word of a set: there are no more, see below */
_Static_assert(DESCRIPTORS == WORD, "a set is one word");

/* What select means by ready to read, to write, and by an exception. */
static const uint32_t meanings[3] = {
    POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
    POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
    POLLPRI,
};

/* What a call waits for: until when, and when something is ready by itself. */
struct waiting {
    uint64_t ns;   /* that it waits at most */
    uint64_t wake; /* WAITS_FOR_EVER until something is found */
};

/* The events of descriptor (fd) among (events), and POLLERR and POLLHUP; POLLNVAL when
 * it is not open. Notes in (*w) when there will be some; there will be no others when
 * there are some already, which nobody has asked for. */
static uint32_t look(const struct machine *m, uint32_t fd, uint32_t events,
                     struct waiting *w)
{
    int index = descriptors_find(&m->process->files, fd);
    if (index < 0)
        return POLLNVAL;
    uint32_t ready = ready_events(m, index);
    uint64_t when = ready ? WAITS_FOR_EVER : ready_at(m, index);
    w->wake = when < w->wake ? when : w->wake;
    return ready & (events | POLLERR | POLLHUP);
}

/* Nothing is ready: it waits, or its time is over, which is 0. A signal that its mask
 * lets through ends it all the same. */
static long none(struct call *c, const struct waiting *w)
{
    uint64_t limit = waits_limit(c->m, w->ns);
    if ((!w->ns || clock_now() >= limit) && !process_signals_due(c->m->process))
        return 0;
    return wait_until_ready(c, w->wake < limit ? w->wake : limit,
                            "descriptors that nobody can make ready");
}

/* --- poll --- */

static long poll_for(struct call *c, uint64_t ns)
{
    struct pollfd fds[DESCRIPTORS];
    struct waiting w = {ns, WAITS_FOR_EVER};
    uint64_t count = (uint32_t)c->arg[1];
    long ready = 0;
    if (count > DESCRIPTORS)
        return -EINVAL;
    if (guest_read(&c->m->mem, c->arg[0], fds, count * sizeof(*fds)) < 0)
        return -EFAULT;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t events = (uint16_t)fds[i].events;
        fds[i].revents =
            fds[i].fd < 0 ? 0 : (short)look(c->m, (uint32_t)fds[i].fd, events, &w);
        ready += fds[i].revents != 0;
    }
    if (!ready)
        ready = none(c, &w);
    if (c->waits || c->ends)
        return ready;
    long ret = guest_write(&c->m->mem, c->arg[0], fds, count * sizeof(*fds));
    return ret < 0 ? ret : ready;
}

long sys_poll(struct call *c)
{
    int ms = (int)c->arg[2];
    return poll_for(c, ms < 0 ? WAITS_FOR_EVER : (uint64_t)ms * 1000000);
}

/* What is left of the time that the call may wait. */
static uint64_t time_left(const struct machine *m, uint64_t ns)
{
    uint64_t now = clock_now();
    if (!m->wait_until)
        return ns;
    return m->wait_until > now ? m->wait_until - now : 0;
}

/* The call is answered, or a signal ends it: tells how much of its time is left, which
 * is no reason to fail, in seconds and ns, or with (unit) 1000, us. */
static long tell_left(struct call *c, uint64_t addr, uint64_t ns, uint64_t unit,
                      long ret)
{
    uint64_t left = time_left(c->m, ns);
    const uint64_t t[2] = {left / 1000000000UL, left % 1000000000UL / unit};
    int ended = !c->waits || process_signals_due(c->m->process);
    if (addr && ended && !c->ends)
        guest_write(&c->m->mem, addr, t, sizeof(t));
    return ret;
}

long sys_ppoll(struct call *c)
{
    uint64_t ns = WAITS_FOR_EVER;
    long ret = c->arg[2] ? waits_duration(c, c->arg[2], &ns) : 0;
    if (ret == 0)
        ret = waits_mask(c, c->arg[3], c->arg[4]);
    if (ret < 0)
        return ret;
    return waits_unmask(c, tell_left(c, c->arg[2], ns, 1, poll_for(c, ns)));
}

/* --- select --- */

/* The bits of set (n), of its (count) lowest descriptors. 0 or -EFAULT. */
static int read_set(struct call *c, int n, uint32_t count, uint64_t *set)
{
    *set = 0;
    if (!c->arg[1 + n] || !count)
        return 0;
    if (guest_read(&c->m->mem, c->arg[1 + n], set, sizeof(*set)) < 0)
        return -EFAULT;
    *set &= count < WORD ? (1UL << count) - 1 : UINT64_MAX;
    return 0;
}

/* Those of (wanted) that are ready. How many bits, or -EBADF. */
static long look_at_sets(struct call *c, const uint64_t wanted[3], uint64_t found[3],
                         struct waiting *w)
{
    long bits = 0;
    for (uint32_t fd = 0; fd < WORD; fd++) {
        uint32_t events = 0;
        for (int n = 0; n < 3; n++)
            events |= wanted[n] >> fd & 1 ? meanings[n] : 0;
        uint32_t ready = events ? look(c->m, fd, events, w) : 0;
        if (ready & POLLNVAL)
            return -EBADF;
        for (int n = 0; n < 3; n++) {
            uint64_t bit = wanted[n] >> fd & (uint64_t)!!(ready & meanings[n]);
            found[n] |= bit << fd;
            bits += (long)bit;
        }
    }
    return bits;
}

static long write_sets(struct call *c, uint32_t count, const uint64_t found[3])
{
    for (int n = 0; n < 3 && count; n++)
        if (c->arg[1 + n] && guest_write(&c->m->mem, c->arg[1 + n], &found[n], 8) < 0)
            return -EFAULT;
    return 0;
}

static long select_for(struct call *c, uint64_t ns)
{
    int count = (int)c->arg[0];
    uint64_t wanted[3], found[3] = {0};
    struct waiting w = {ns, WAITS_FOR_EVER};
    if (count < 0)
        return -EINVAL;
    for (int n = 0; n < 3; n++)
        if (read_set(c, n, (uint32_t)count, &wanted[n]) < 0)
            return -EFAULT;
    long ready = look_at_sets(c, wanted, found, &w);
    if (ready == 0)
        ready = none(c, &w);
    if (ready < 0 || c->waits || c->ends)
        return ready;
    long ret = write_sets(c, (uint32_t)count, found);
    return ret < 0 ? ret : ready;
}

/* A struct timeval may have a second's worth of microseconds and more. */
static long read_timeval(struct call *c, uint64_t addr, uint64_t *ns)
{
    struct timeval t;
    if (guest_read(&c->m->mem, addr, &t, sizeof(t)) < 0)
        return -EFAULT;
    if (t.tv_sec < 0 || t.tv_usec < 0)
        return -EINVAL;
    uint64_t seconds = (uint64_t)t.tv_sec + (uint64_t)t.tv_usec / 1000000;
    if (seconds > 9000000000UL)
        seconds = 9000000000UL;
    *ns = seconds * 1000000000UL + (uint64_t)t.tv_usec % 1000000 * 1000;
    return 0;
}

long sys_select(struct call *c)
{
    uint64_t ns = WAITS_FOR_EVER;
    long ret = c->arg[4] ? read_timeval(c, c->arg[4], &ns) : 0;
    return ret < 0 ? ret : tell_left(c, c->arg[4], ns, 1000, select_for(c, ns));
}

long sys_pselect6(struct call *c)
{
    uint64_t ns = WAITS_FOR_EVER, mask[2] = {0};
    if (c->arg[5] && guest_read(&c->m->mem, c->arg[5], mask, sizeof(mask)) < 0)
        return -EFAULT;
    long ret = c->arg[4] ? waits_duration(c, c->arg[4], &ns) : 0;
    if (ret == 0)
        ret = waits_mask(c, mask[0], mask[1]);
    if (ret < 0)
        return ret;
    return waits_unmask(c, tell_left(c, c->arg[4], ns, 1, select_for(c, ns)));
}
