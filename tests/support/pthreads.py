"""Programs with threads, for tests."""

import functools
from collections.abc import Callable

from support.guests import Guest

FLAGS = ("-static", "-pthread")

# spawn(work, arg): a thread with a small stack; 0 when there are no more. pass(ms): so
# many milliseconds pass, in which others can run.
PTHREADS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
typedef void *work_function(void *);
static pthread_t spawn(work_function *work, long arg)
{
    pthread_attr_t small;
    pthread_t thread = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 1 << 16);
    errno = pthread_create(&thread, &small, work, (void *)arg);
    return errno ? 0 : thread;
}
static long result_of(pthread_t thread)
{
    void *result;
    return pthread_join(thread, &result) ? -1 : (long)result;
}
static void pass(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, 0);
}
"""


def threaded(guest: Callable[..., Guest]) -> Callable[..., Guest]:
    """guest(source), where the source may use what is above."""
    start = functools.partial(guest, flags=FLAGS)
    return lambda source, **options: start(PTHREADS + source, **options)
