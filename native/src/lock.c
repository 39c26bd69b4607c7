/* lock.c: see lock.h.
 *
 * The lock is one word, `owner`. Its count makes each owner's word unlike all others,
 * so that a compare-and-swap takes it from exactly the owner that was looked at: of all
 * that find the same owner dead, one becomes the next, and nobody takes it from a
 * process that sat down on the dead one's place.
 *
 * A process is alive while it has its byte of the memfd locked. The kernel drops that
 * lock with the last thread, after its memory.
 *
 * All the rest makes waiting fair and short, and may be lost at any time: a ticket in
 * `waiting` that somebody removed is put there again by its owner, and a wake-up that
 * a dead process owed is made up for after LOCK_NAP_NS. */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "watchdog.h"

#define LOCK_PATIENCE_NS 300000UL /* who has waited longer goes first */
#define LOCK_NAP_NS 5000000UL     /* nobody sleeps longer without looking around */

#define SEAT_BITS 0xffUL /* of an owner's word */
#define TICKET_SEAT 0x7fUL
#define NO_PLACE LOCK_WAITERS

/* --- Places --- */

static struct flock byte_of(uint32_t number)
{
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = number, .l_len = 1};
}

/* Whether a process has place (number), which is not ours: we do not see our own. */
static int is_alive(const struct lock_seat *seat, uint32_t number)
{
    struct flock f = byte_of(number);
    return fcntl(seat->fd, F_OFD_GETLK, &f) < 0 || f.l_type != F_UNLCK;
}

/* Sits down on the first free place. 0 or -errno. */
static int sit_down(struct lock_seat *seat, struct skerry_error *err)
{
    for (seat->number = 0; seat->number < LOCK_SEATS; seat->number++) {
        struct flock f = byte_of(seat->number);
        if (fcntl(seat->fd, F_OFD_SETLK, &f) == 0)
            return 0;
        if (errno != EAGAIN && errno != EACCES)
            return skerry_fail(err, "storage lock");
    }
    return skerry_refuse(err, EUSERS, "storage lock",
                         "%d processes use this storage already: start fewer workers",
                         LOCK_SEATS);
}

static uint32_t seat_of(uint64_t owner)
{
    return (uint32_t)(owner & SEAT_BITS);
}

/* Makes this process the owner after the one that (word) tells of. Tells if it is. */
static int follow(struct lock *l, const struct lock_seat *seat, uint64_t word)
{
    uint64_t mine = ((word | SEAT_BITS) + 1) | (seat->number + 1);
    return __atomic_compare_exchange_n(&l->owner, &word, mine, 0, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

int lock_join(struct lock *l, int memfd, struct lock_seat *seat,
              struct skerry_error *err)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
    *seat = (struct lock_seat){.fd = open(path, O_RDWR | O_CLOEXEC)};
    if (seat->fd < 0)
        return skerry_fail(err, "storage lock: /proc/self/fd");
    return lock_join_with(l, seat->fd, seat, err);
}

int lock_join_with(struct lock *l, int fd, struct lock_seat *seat,
                   struct skerry_error *err)
{
    *seat = (struct lock_seat){.fd = fd};
    int ret = sit_down(seat, err);
    if (ret < 0) {
        lock_leave(seat);
        return ret;
    }
    return lock_inherit(l, seat);
}

int lock_inherit(struct lock *l, const struct lock_seat *seat)
{
    uint64_t word = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE);
    return seat_of(word) == seat->number + 1 && follow(l, seat, word);
}

void lock_leave(struct lock_seat *seat)
{
    if (seat->fd >= 0)
        close(seat->fd);
    seat->fd = -1;
}

/* --- Those that wait --- */

/* Every fourth or so of those that wait has the same bit; the last is for those that
 * found no place in the table. */
static uint32_t bit_of(uint32_t place)
{
    return place == NO_PLACE ? 1U << 31 : 1U << place % 31;
}

static long wake(struct lock *l, int count, uint32_t bits)
{
    return syscall(SYS_futex, &l->releases, FUTEX_WAKE_BITSET, count, NULL, NULL, bits);
}

/* The one that has waited longest, whose ticket goes to (since); NO_PLACE: there is
 * none. */
static uint32_t first_waiter(const struct lock *l, uint64_t *since)
{
    uint32_t first = NO_PLACE;
    *since = 0;
    for (uint32_t i = 0; i < LOCK_WAITERS; i++) {
        uint64_t ticket = __atomic_load_n(&l->waiting[i], __ATOMIC_RELAXED);
        if (ticket && (*since == 0 || ticket < *since)) {
            first = i;
            *since = ticket;
        }
    }
    return first;
}

static int remove_ticket(struct lock *l, uint32_t place, uint64_t since)
{
    return __atomic_compare_exchange_n(&l->waiting[place], &since, 0, 0,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static int is_listed(const struct lock *l, const struct lock_ticket *t)
{
    return t->place != NO_PLACE &&
           __atomic_load_n(&l->waiting[t->place], __ATOMIC_RELAXED) == t->since;
}

/* Sees to it that whoever gives the lock back knows of (t), from now on. Without a
 * place in a full table (t) has no right to go first, but it is woken. */
static void enlist(struct lock *l, struct lock_ticket *t)
{
    if (!is_listed(l, t))
        for (t->place = 0; t->place < LOCK_WAITERS; t->place++) {
            uint64_t nobody = 0;
            if (__atomic_compare_exchange_n(&l->waiting[t->place], &nobody, t->since, 0,
                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
                break;
        }
    __atomic_store_n(&l->waiters, 1, __ATOMIC_SEQ_CST);
}

static int is_overdue(uint64_t since, uint64_t now)
{
    return since + LOCK_PATIENCE_NS < now;
}

/* Wakes the one whose turn it is, now that the lock is free. */
static void wake_next(struct lock *l)
{
    uint64_t since;
    __atomic_exchange_n(&l->waiters, 0, __ATOMIC_SEQ_CST);
    uint32_t first = first_waiter(l, &since);
    __atomic_add_fetch(&l->releases, 1, __ATOMIC_SEQ_CST);
    if (first == NO_PLACE) { /* those that sleep tell us again that they wait */
        wake(l, INT_MAX, FUTEX_BITSET_MATCH_ANY);
        return;
    }
    __atomic_store_n(&l->waiters, 1, __ATOMIC_SEQ_CST);
    if (!is_overdue(since, clock_now()) || wake(l, INT_MAX, bit_of(first)) <= 0)
        wake(l, 1, FUTEX_BITSET_MATCH_ANY);
}

/* Whether (t) may take the free lock: at first whoever comes may, as a hand-over costs
 * a switch between threads; but one that has waited for too long goes first, provided
 * that it comes. If not, it is stopped or dead, and loses its place. */
static int may_take(struct lock *l, const struct lock_ticket *t)
{
    uint64_t since, now = clock_now();
    uint32_t first;
    while ((first = first_waiter(l, &since)) != NO_PLACE) {
        if (since >= t->since || !is_overdue(since, now))
            return 1;
        if (now < __atomic_load_n(&l->released_at, __ATOMIC_RELAXED) + LOCK_NAP_NS) {
            wake(l, INT_MAX, bit_of(first));
            return 0;
        }
        remove_ticket(l, first, since);
    }
    return 1;
}

/* Sleeps until the lock is given back after (seen), a kick, or at most until (until).
 * Tells if it was for so long that the owner may be dead. */
static int nap(struct lock *l, const struct lock_ticket *t, uint32_t seen,
               uint64_t until)
{
    uint64_t end = clock_now() + LOCK_NAP_NS;
    if (end > until)
        end = until;
    struct timespec at = {.tv_sec = (time_t)(end / 1000000000UL),
                          .tv_nsec = (long)(end % 1000000000UL)};
    return syscall(SYS_futex, &l->releases, FUTEX_WAIT_BITSET, seen, &at, NULL,
                   bit_of(t->place)) < 0 &&
           errno == ETIMEDOUT;
}

/* --- Take and give --- */

static int take_free(struct lock *l, const struct lock_seat *seat)
{
    uint64_t word = __atomic_load_n(&l->owner, __ATOMIC_SEQ_CST);
    return seat_of(word) == 0 && follow(l, seat, word);
}

static int take_in_turn(struct lock *l, const struct lock_seat *seat,
                        const struct lock_ticket *t)
{
    uint64_t word = __atomic_load_n(&l->owner, __ATOMIC_SEQ_CST);
    return seat_of(word) == 0 && may_take(l, t) && follow(l, seat, word);
}

static int take_from_dead(struct lock *l, const struct lock_seat *seat)
{
    uint64_t word = __atomic_load_n(&l->owner, __ATOMIC_SEQ_CST);
    uint32_t owner = seat_of(word);
    return owner != 0 && owner != seat->number + 1 && !is_alive(seat, owner - 1) &&
           follow(l, seat, word);
}

/* Waits in the table. As lock_take. */
static int wait_in_turn(struct lock *l, const struct lock_seat *seat,
                        struct lock_ticket *t, uint64_t until)
{
    for (int long_ago = 0;;) {
        uint32_t seen = __atomic_load_n(&l->releases, __ATOMIC_SEQ_CST);
        enlist(l, t); /* before we look, so that who gives it back later wakes us */
        if (take_in_turn(l, seat, t))
            return 0;
        int over = clock_now() >= until;
        if ((long_ago || over) && take_from_dead(l, seat))
            return 1;
        if (over)
            return -EAGAIN;
        long_ago = nap(l, t, seen, until);
    }
}

int lock_take(struct lock *l, const struct lock_seat *seat, struct lock_ticket *t,
              uint64_t until)
{
    if (!t->since) {
        if (!__atomic_load_n(&l->waiters, __ATOMIC_RELAXED) && take_free(l, seat))
            return 0;
        t->place = NO_PLACE;
        t->since = (clock_now() & ~TICKET_SEAT) | (seat->number + 1);
        if (take_in_turn(l, seat, t)) {
            *t = (struct lock_ticket){0};
            return 0;
        }
    }
    int ret = wait_in_turn(l, seat, t, until);
    if (ret >= 0) {
        if (t->place != NO_PLACE)
            remove_ticket(l, t->place, t->since);
        *t = (struct lock_ticket){0};
    }
    return ret;
}

void lock_forget(struct lock *l, struct lock_ticket *t)
{
    if (!t->since)
        return;
    if (t->place != NO_PLACE)
        remove_ticket(l, t->place, t->since);
    *t = (struct lock_ticket){0};
    /* A wake-up that was meant for us is for the next. */
    if (seat_of(__atomic_load_n(&l->owner, __ATOMIC_SEQ_CST)) == 0)
        wake_next(l);
}

void lock_give(struct lock *l, const struct lock_seat *seat)
{
    uint64_t word = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);
    if (seat_of(word) != seat->number + 1)
        return;
    if (__atomic_load_n(&l->waiters, __ATOMIC_RELAXED))
        __atomic_store_n(&l->released_at, clock_now(), __ATOMIC_RELAXED);
    __atomic_store_n(&l->owner, word & ~SEAT_BITS, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&l->waiters, __ATOMIC_SEQ_CST))
        wake_next(l);
}
