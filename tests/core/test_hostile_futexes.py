"""Hostile programs, threads and futexes: words, lists and flags that are none, threads
that nobody ends. The next request is right, and nothing is left."""

from collections.abc import Iterator, Sequence

import pytest
from support import hostile
from support.attacks.threads import ATTACKS, WAYS
from support.guests import Guest

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def guests() -> Iterator[Sequence[Guest]]:
    with hostile.started(ATTACKS, WAYS) as both:
        yield both


@pytest.mark.parametrize("way", WAYS)
def test_hostile_threads_and_futexes_harm_nobody_else(guests, way):
    hostile.attack_everywhere(guests, way, WAYS[way])


def test_a_program_serves_that_is_frozen_among_its_threads():
    hostile.assert_survives_start_up(ATTACKS, WAYS)


# /change: the call that waits is not there any more when it is to be made again:
# another thread has made a jump of it. The others say how long they have waited.
CHANGED = r"""
static int ends[2];
static unsigned char *code;
static void *change(void *arg)
{
    code[0] = 0xeb; /* jmp, over the next byte */
    code[1] = 1;
    for (;;)
        pause();
}
static long by_code(long number, void *fds, long count, long ms)
{
    static const unsigned char call[] = {0x0f, 0x05, 0xc3, 0xc3};
    memcpy(code, call, sizeof call);
    spawn(change, 0);
    asm volatile("sub $128, %%rsp; call *%1; add $128, %%rsp"
        : "+a"(number) : "r"(code), "D"(fds), "S"(count), "d"(ms)
        : "rcx", "r11", "memory");
    return number;
}
static void *sleep_on(void *arg) { for (;;) pause(); }
START
{
    pipe(ends);
    spawn(sleep_on, 0);
    code = mmap(0, 4096, RW | PROT_EXEC, ANON, -1, 0);
}
HANDLE {
    struct pollfd one = {ends[0], POLLIN};
    struct timespec begin, end;
    if (!strcmp(url, "/change"))
        reply("%d", by_code(SYS_poll, &one, 1, 20) == SYS_poll);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    poll(&one, 1, 60);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const long long ns = (end.tv_sec - begin.tv_sec) * 1000000000ll;
    reply("%s", ns + end.tv_nsec - begin.tv_nsec < 60000000 ? "too early" : "60 ms");
}
"""


def test_a_wait_that_is_not_made_again_is_not_the_next_requests(guests):
    with hostile.start(hostile.COMMON + CHANGED) as vm:
        assert vm.text("/change") == "1"
        for _ in range(2):
            assert vm.text("/") == "60 ms"
