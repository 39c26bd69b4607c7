"""A program that keeps books in storage, in every kind of memory that a program has,
and that can fail in many ways after it has written to them.

A request for /HOW/KEY=VALUE/KEY=VALUE... writes the values in one storage call, and
then ends it as HOW says: WAYS_TO_FAIL, or "good". The answer is what the call returned
and a digest of all state after it. /digest and /values only read.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support.clones import ask
from support.guests import PRELUDE, compile_guest

from skerry import native
from skerry.config import Program, defaults, make
from skerry.parcel import pack
from skerry.started import Started

KEYS = 200
WAYS_TO_FAIL = (
    "trap",
    "null",
    "silent",  # returns without a result
    "exit",
    "many",  # 3000 pages are written first: the dirty ring is full in between
    "returned",  # has returned its result, and faults in what it does after that
    "huge",  # the result is larger than memory
    "printed",
    "shrunk",  # gives memory back first
)
LOOP = "loop"
# /NAME/half writes, tells in shared memory that it has, and goes on when /NAME/open is
# called. /NAME/inside, which calls no storage, tells how many have begun that.
GATED = "half"

SOURCE = r"""
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define KEYS 200
struct node { struct node *next; size_t size; unsigned char bytes[]; };
static struct row { long value; char rest[4088]; } table[KEYS]
    __attribute__((aligned(4096)));
static char wide[3000][4096];
static struct node *list;
static unsigned long *maps[200], map_count, puts_done;
static volatile struct gate { int inside, open; } *gate;

static unsigned long add(unsigned long hash, const void *at, size_t len)
{
    const unsigned char *bytes = at;
    for (size_t i = 0; i + 8 <= len; i += 8) {
        unsigned long word;
        memcpy(&word, bytes + i, 8);
        hash = (hash ^ word) * 0x100000001b3;
        hash ^= hash >> 29;
    }
    return hash;
}

static unsigned long digest(void)
{
    unsigned long hash = add(1, table, sizeof table);
    for (int i = 0; i < 3000; i++)
        hash = add(hash, wide[i] + i % 4088, 8);
    for (struct node *n = list; n; n = n->next)
        hash = add(add(hash, &n, 8), n->bytes, n->size);
    for (int i = 0; i < map_count; i++)
        hash = add(add(hash, &maps[i], 8), maps[i], 8192);
    void *end = sbrk(0);
    return add(add(hash, &end, 8), &puts_done, 8);
}

static void put(long key, long value)
{
    struct node *n = malloc(sizeof *n + 100 + value % 5000);
    n->size = 100 + value % 5000;
    memset(n->bytes, value, n->size);
    n->next = list;
    list = n;
    table[key].value = value;
    puts_done++;
    if (puts_done % 3 == 0) {
        list = n->next->next;
        free(n->next);
        free(n);
    }
    if (puts_done % 10 == 0 && map_count < 200) {
        maps[map_count] = mmap(0, 8192, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        maps[map_count++][1000] = value;
    }
    if (puts_done % 7 == 0)
        *(long *)sbrk(5000) = value;
}

static void call(size_t n, struct virtbuffer buf[], size_t res)
{
    const char *how = buf[0].data;
    unsigned long hash = 0;
    for (const char *at = how; (at = strchr(at, '/')); at++)
        put(atol(at + 1), atol(strchr(at, '=') + 1));
    if (!strncmp(how, "half", 4)) {
        table[0].value++;
        __sync_fetch_and_add(&gate->inside, 1);
        while (!gate->open)
            __builtin_ia32_pause();
    }
    if (!strncmp(how, "trap", 4))
        __builtin_trap();
    if (!strncmp(how, "null", 4))
        *(volatile int *)8 = 1;
    if (!strncmp(how, "silent", 6))
        return;
    if (!strncmp(how, "exit", 4))
        exit(0);
    if (!strncmp(how, "loop", 4))
        for (;;)
            __asm__ volatile("pause");
    if (!strncmp(how, "many", 4) || !strncmp(how, "wide", 4))
        for (int i = 0; i < 3000; i++)
            wide[i][i % 4088]++;
    if (!strncmp(how, "many", 4))
        __builtin_trap();
    if (!strncmp(how, "returned", 8)) {
        kvm_api_call(KVM_API_STORAGE_RETURN, (uint64_t)&hash, 8, 0, 0);
        table[1].value++;
        __builtin_trap();
    }
    if (!strncmp(how, "huge", 4))
        kvm_api_call(KVM_API_STORAGE_RETURN, (uint64_t)&hash, 1ul << 40, 0, 0);
    if (!strncmp(how, "printed", 7)) {
        puts("printed, then gone");
        fflush(stdout);
        __builtin_trap();
    }
    if (!strncmp(how, "shrunk", 6)) {
        for (int i = 0; i < map_count; i++)
            munmap(maps[i], 8192);
        free(list);
        brk((char *)sbrk(0) - 20000);
        __builtin_trap();
    }
    hash = digest();
    storage_return(&hash, 8);
}

static void values(size_t n, struct virtbuffer buf[], size_t res)
{
    static long now[KEYS]; /* the table is the state, this is not looked at */
    for (int i = 0; i < KEYS; i++)
        now[i] = table[i].value;
    storage_return(now, sizeof now);
}

START {
    gate = SHM_ALLOC_TYPE(struct gate);
    for (int i = 0; i < KEYS; i++)
        table[i].value = i;
}

HANDLE {
    const char *how = strchr(url + 1, '/') + 1; /* behind the program's name */
    if (!strncmp(how, "open", 4))
        gate->open = 1;
    if (!strncmp(how, "open", 4) || !strncmp(how, "inside", 6))
        reply("%d", gate->inside);
    if (!strncmp(how, "values", 6)) {
        static long now[KEYS];
        static char text[KEYS * 24];
        int len = 0;
        storage_call(values, NULL, 0, now, sizeof now);
        for (int i = 0; i < KEYS; i++)
            len += sprintf(text + len, "%ld ", now[i]);
        backend_response(200, "text/plain", 10, text, len);
    }
    unsigned long hash = 0;
    long len = storage_call(call, how, strlen(how) + 1, &hash, 8);
    reply("%ld %lx", len, hash);
}
"""
GUEST = {"shared_memory": 2, "storage": True}


def configure(**values: object) -> Program:
    """The program as skerry is configured to start it."""
    program = compile_guest(PRELUDE + SOURCE)
    config = {**_fields(defaults("books", program)), **GUEST, "max_memory": 64}
    return make(config | values)


def _fields(config: Program) -> dict[str, object]:
    return {name: getattr(config, name) for name in config.__slots__}


def clone(started: Started, limit: float = 60, inline: float = 0.0) -> native.Vm:
    """A clone of (started), which takes its storage with it."""
    return native.Vm(started.snapshot, started.console, limit, inline, started.storage)


def text(vm: native.Vm, path: str) -> str:
    """The body of the answer to a GET of (path) of this program."""
    response = ask(vm, f"/books/{path}")
    assert response.status == 200, vm.reason
    return response.body.decode()


def digest(vm: native.Vm) -> str:
    """Of all state."""
    length, value = text(vm, "digest").split()
    assert length == "8"
    return value


_WORKER = """
import sys
sys.path.insert(0, {tests!r})
from support.books import clone, text
from skerry.parcel import Parcel, unpack
fds = tuple(map(int, sys.argv[1].split(",")))
with unpack(Parcel(sys.stdin.buffer.read(), fds)) as started, clone(started) as vm:
    for path in sys.argv[2:]:
        print(text(vm, path), flush=True)
"""


class Worker:
    """Another process that asks for (paths) of (started), one after the other."""

    def __init__(self, started: Started, paths: Sequence[str]) -> None:
        parcel = pack(started)
        fds = [os.dup(fd) for fd in parcel.fds]
        script = _WORKER.format(tests=str(Path(__file__).resolve().parents[1]))
        command = [sys.executable, "-c", script, ",".join(map(str, fds)), *paths]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=fds
        )
        for fd in fds:
            os.close(fd)
        assert self.process.stdin
        self.process.stdin.write(parcel.data)
        self.process.stdin.close()
        self.process.stdin = None

    def lines(self) -> list[str]:
        """What it was answered, once it has ended."""
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return out.decode().splitlines()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *unused: object) -> None:
        self.process.kill()
        self.process.communicate()
