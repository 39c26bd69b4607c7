"""Programs that attack: in C, a function each, called in every place where a program
runs. After each of them the next request is right, and the clone is as it was frozen.

A way that should be harmless tells with EXPECT what was not as it should be, and the
request goes on; of one that should end its request a pattern says why.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.clones import EMULATED, FAILED
from support.guests import PRELUDE, Guest, compile_guest
from support.leaks import Held
from support.pthreads import FLAGS, PTHREADS

GNU = (*FLAGS, "-D_GNU_SOURCE=")
# How often something is tried that has no end of its own.
MANY = 400 if EMULATED else 4_000
BRIEF = 1.0 if EMULATED else 0.1  # seconds, for what would go on until its time is over
FINE = "^$"  # the reason of a request that has not failed
TIME = "time limit reached"

# raw(): what a system call returns, also an error. BAD is not mapped, HIGH is nobody's
# address, KERNEL is ours, ROOF is where those of programs end, FAR is free.
COMMON = (
    PTHREADS
    + f"#define MANY {MANY}\n"
    + r"""
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <ucontext.h>
#define BAD ((char *)8)
#define HIGH ((char *)-4096l)
#define KERNEL ((char *)0x4000)
#define ROOF (1l << 47)
#define FAR 0x600000000000l
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define LENGTH(list) ((int)(sizeof(list) / sizeof(*(list))))
static char wrong[2048];
#define EXPECT(value) do { if (!(value) && strlen(wrong) < 1800) \
    sprintf(wrong + strlen(wrong), "%d: %.80s; ", __LINE__, #value); } while (0)
#define raw(name, ...) raw_call(SYS_##name, ##__VA_ARGS__)
#define raw_call(...) \
    ({ long ret_ = syscall(__VA_ARGS__); ret_ == -1 ? -errno : ret_; })
static volatile int never;
/* A page that can be used, and none behind it. */
static char *last_page(void)
{
    char *two = mmap(0, 8192, PROT_NONE, ANON, -1, 0);
    mprotect(two, 4096, RW);
    return two;
}
"""
)

# .../PLACE/WAY: (r)equest itself, a signal's (h)andler, a (t)hread, (s)torage.
PLACES = r"""
static void nothing(void) {}
typedef void way_function(void);
static const struct { const char *name; way_function *run; } ways[] = {
    {"nothing", nothing}, WAYS
};
static way_function *chosen;
static void in_handler(int signal) { chosen(); }
static void *in_thread(void *arg) { chosen(); return 0; }
static void in_storage(size_t n, struct virtbuffer buf[n], size_t res)
{
    wrong[0] = 0;
    (*(way_function **)buf[0].data)();
    storage_return(wrong, strlen(wrong) + 1);
}
static void all_ways(void)
{
    for (int i = 0; i < LENGTH(ways); i++)
        ways[i].run();
}
START { BEGIN if (getenv("AT_START")) all_ways(); }
HANDLE {
    pthread_t thread;
    const char *way = strrchr(url, '/') + 1;
    for (int i = 0; i < LENGTH(ways); i++)
        if (!strcmp(ways[i].name, way))
            chosen = ways[i].run;
    switch (chosen ? way[-2] : 0) {
    case 'r':
        chosen();
        break;
    case 'h':
        sigaction(SIGURG, &(struct sigaction){.sa_handler = in_handler}, 0);
        raise(SIGURG);
        break;
    case 't':
        EXPECT(pthread_create(&thread, 0, in_thread, 0) == 0);
        EXPECT(result_of(thread) == 0);
        break;
    case 's':
        if (storage_call(in_storage, &chosen, sizeof chosen, wrong, sizeof wrong) < 0)
            strcpy(wrong, "storage: -1");
        break;
    }
    reply("wrong: %s", wrong);
}
"""
PLACE = {"r": "request", "h": "handler", "t": "thread", "s": "storage"}


def source(attacks: str, ways: Mapping[str, str], begin: str = "") -> str:
    """The program with the functions of (attacks), whose names are (ways)."""
    table = ", ".join(f'{{"{way}", {way}}}' for way in ways)
    head = f"#define WAYS {table}\n#define BEGIN {begin}\n"
    return COMMON + attacks + head + PLACES


def made(text: str) -> Path:
    """The program that is made from (text)."""
    return compile_guest(PRELUDE + text, "gcc", GNU)


def start(text: str, **options: object) -> Guest:
    """A started program with storage, made from (text)."""
    return Guest(made(text).read_bytes(), storage=True, **options)


@contextmanager
def started(attacks: str, ways: Mapping[str, str]) -> Iterator[Sequence[Guest]]:
    """The program, with much time for a request, and with little; nothing is left."""
    text = source(attacks, ways)
    with (
        nothing_left(),
        start(text, limit=120.0) as patient,
        start(text, limit=3 * BRIEF, storage_time=BRIEF / 2) as brief,
    ):
        yield patient, brief


@contextmanager
def nothing_left() -> Iterator[None]:
    """The leak count: the host holds in the end what it held in the beginning."""
    with start(source("", {})) as first:
        first.text("/s/nothing")
    before = Held.now()
    yield
    Held.now().assert_same(before)


def assert_untouched(guest: Guest) -> None:
    """The next request is right, in storage too, and finds all as it was frozen."""
    assert guest.text("/s/nothing") == "wrong: "
    assert guest.vm.differing_pages() == 0


def attack(guest: Guest, place: str, way: str, reason: str) -> None:
    """Has (guest) do (way) in (place), where its request ends for (reason), or not."""
    answer = guest.get(f"/{place}/{way}")
    told = (PLACE[place], way, answer.body, guest.failure)
    assert re.search(reason, guest.failure), told
    if guest.failure:
        assert (answer.status, answer.body) == FAILED, told
    else:
        assert answer.body == b"wrong: ", told
    assert_untouched(guest)


def attack_everywhere(guests: Sequence[Guest], way: str, reason: str) -> None:
    """(way) in every place, in that of started() which has the time that it needs."""
    guest = guests[reason == TIME]
    for place in "rht":
        attack(guest, place, way, reason)
    attack_storage(guest, way)


def attack_storage(guest: Guest, way: str) -> None:
    """Storage refuses what requests may do, or does it, or its call fails: the request
    that has called it goes on, and so does the storage."""
    answer = guest.get(f"/s/{way}")
    assert answer.status == 200, guest.failure
    assert_untouched(guest)


def assert_survives_start_up(attacks: str, ways: Mapping[str, str]) -> None:
    """A program that does all harmless (ways) while it starts, and its storage too, is
    frozen as they leave it, and serves. Then requests may do the last of them again.
    """
    fine = [way for way, reason in ways.items() if reason == FINE]
    text = source(attacks, {way: ways[way] for way in fine})
    environment = ("KVM_NAME=test", "AT_START=1")
    with start(text, environment=environment, limit=120.0) as guest:
        assert guest.text("/r/nothing") == "wrong: "
        assert_untouched(guest)
        for way in fine[-3:]:
            guest.get(f"/r/{way}")
            assert_untouched(guest)
