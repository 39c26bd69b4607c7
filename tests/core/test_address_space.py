"""Addresses of a program's own choice: mappings and reservations anywhere, as on Linux.
One program makes many calls; it runs on this Linux and in a guest."""

import errno
import subprocess

import pytest
from support.addresses import SHOW
from support.guests import MB, compile_guest
from support.oracle import results

from skerry import native
from skerry.allowed import Policy
from skerry.config import AllowedPath

pytestmark = pytest.mark.core

PROGRAM = (
    SHOW
    + r"""
static void hints(void)
{
    TRY(mmap, FAR, 4 * PAGE, RW, ANON, -1, 0);
    TRY(mmap, FAR + 4 * PAGE + 5, PAGE, RW, ANON, -1, 0);
    IS(mmap(at(PAGE), PAGE, RW, ANON, -1, 0) != at(PAGE));
    TRY(mmap, FAR + PAGE, PAGE, RW, NOREPLACE, -1, 0);
    TRY(mmap, FAR - PAGE, 2 * PAGE, RW, NOREPLACE, -1, 0);
    TRY(mmap, FAR + 4 * PAGE, PAGE, RW, NOREPLACE, -1, 0);
    TRY(mmap, FAR + 1, PAGE, RW, FIXED, -1, 0);
    TRY(mmap, 1ul << 47, PAGE, RW, FIXED, -1, 0);
    TRY(mmap, (1ul << 47) - PAGE, PAGE, RW, FIXED, -1, 0);
    TRY(mmap, (1ul << 47) - 2 * PAGE, 2 * PAGE, RW, FIXED, -1, 0);
    TRY(mmap, 1ul << 63, PAGE, RW, FIXED, -1, 0);
    TRY(mmap, -PAGE, PAGE, RW, FIXED, -1, 0);
    TRY(mmap, FAR, -PAGE, RW, FIXED, -1, 0);
    TRY(mmap, FAR, -1ul, RW, FIXED, -1, 0);
    TRY(mmap, FAR, 1ul << 47, RW, FIXED, -1, 0);
    TRY(mmap, FAR, 0, RW, FIXED, -1, 0);
    TRY(munmap, FAR + 1, PAGE);
    TRY(munmap, FAR, 0);
    TRY(munmap, FAR, 1ul << 47);
    TRY(munmap, 1ul << 47, PAGE);
    TRY(munmap, -PAGE, PAGE);
    TRY(munmap, FAR - PAGE, 10 * PAGE);
    TRY(munmap, FAR, PAGE);
    IS(reads(0));
}

static void overlaps(void)
{
    TRY(mmap, FAR, 8 * PAGE, RW, FIXED, -1, 0);
    memset(at(0), 7, 8 * PAGE);
    TRY(mmap, FAR + 2 * PAGE, PAGE, RW, FIXED, -1, 0);
    IS(at(2 * PAGE)[0]);
    IS(at(2 * PAGE - 1)[0] + at(3 * PAGE)[0]);
    TRY(munmap, FAR + 5 * PAGE, PAGE);
    IS(reads(5 * PAGE));
    IS(writes(5 * PAGE));
    IS(reads(5 * PAGE - 1) + reads(6 * PAGE));
    IS(result(write(2, at(5 * PAGE - 1), 2)));
    TRY(mmap, FAR + 4 * PAGE, 3 * PAGE, PROT_READ, FIXED, -1, 0);
    IS(writes(4 * PAGE));
    IS(reads(4 * PAGE));
    IS(at(4 * PAGE)[0] + at(6 * PAGE)[0] + at(7 * PAGE)[0]);
    TRY(munmap, FAR, 8 * PAGE);
    IS(reads(0) == reads(7 * PAGE));
}

static void guards(void)
{
    TRY(mmap, FAR, 16 * MB, PROT_NONE, FIXED, -1, 0);
    IS(reads(0));
    IS(writes(5 * MB));
    TRY(mprotect, FAR + MB, MB, RW);
    IS(reads(MB - 1));
    IS(writes(MB));
    at(2 * MB - 1)[0] = 9;
    IS(writes(2 * MB));
    TRY(mprotect, FAR + MB, MB, PROT_READ);
    IS(writes(2 * MB - 1));
    IS(at(2 * MB - 1)[0]);
    TRY(mprotect, FAR + MB, MB, PROT_NONE);
    IS(reads(2 * MB - 1));
    TRY(mprotect, FAR + MB, MB, RW);
    IS(at(2 * MB - 1)[0]);
    at(2 * MB - 1)[0]++;
    IS(at(2 * MB - 1)[0]);
    TRY(mprotect, FAR + 15 * MB, 2 * MB, RW);
    TRY(mprotect, FAR + 17 * MB, MB, RW);
    TRY(mprotect, FAR + 1, MB, RW);
    TRY(mprotect, FAR, 0, RW);
    TRY(mprotect, 1ul << 47, PAGE, RW);
    TRY(munmap, FAR, 17 * MB);
}

static void advice(void)
{
    TRY(mmap, FAR, 4 * MB, RW, FIXED, -1, 0);
    memset(at(0), 5, 4 * MB);
    TRY(madvise, FAR + PAGE, MB, MADV_DONTNEED);
    IS(at(PAGE - 1)[0]);
    IS(at(PAGE)[0] + at(MB)[0]);
    IS(at(PAGE + MB)[0]);
    at(PAGE)[0] = 3;
    IS(at(PAGE)[0]);
    TRY(madvise, FAR + 3 * MB, 2 * MB, MADV_DONTNEED);
    IS(at(3 * MB)[0]);
    TRY(madvise, FAR + 1, MB, MADV_DONTNEED);
    TRY(madvise, FAR, 0, MADV_DONTNEED);
    TRY(mlock, FAR + PAGE, PAGE);
    TRY(mlock, FAR + 4 * MB - PAGE, 2 * PAGE);
    TRY(munlock, FAR, 4 * MB);
    TRY(msync, FAR, 4 * MB, MS_SYNC);
    TRY(munmap, FAR, 4 * MB);
    TRY(msync, FAR, 4 * MB, MS_SYNC);
    TRY(madvise, FAR, PAGE, MADV_DONTNEED);
}

static void moves(void)
{
    char *moved;
    TRY(mmap, FAR, 4 * PAGE, RW, FIXED, -1, 0);
    strcpy(at(4 * PAGE - 8), "the end");
    TRY(mremap, FAR, 4 * PAGE, 8 * PAGE, 0);
    IS(strcmp(at(4 * PAGE - 8), "the end") + at(8 * PAGE - 1)[0]);
    TRY(mmap, FAR + 8 * PAGE, PAGE, RW, NOREPLACE, -1, 0);
    TRY(mremap, FAR, 8 * PAGE, 16 * PAGE, 0);
    moved = mremap(at(0), 8 * PAGE, 1000 * PAGE, MREMAP_MAYMOVE);
    IS(strcmp(moved + 4 * PAGE - 8, "the end") + moved[1000 * PAGE - 1]);
    IS(reads(4 * PAGE));
    IS(mremap(moved, 1000 * PAGE, 4 * PAGE, 0) == moved);
    IS(result(write(2, moved + 4 * PAGE, 1)));
    IS(mremap(moved, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(MB))
        == at(MB));
    IS(strcmp(at(MB + 4 * PAGE - 8), "the end"));
    IS(result(write(2, moved, 1)));
    TRY(mremap, FAR + MB, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, FAR + MB);
    TRY(mremap, FAR + MB, PAGE, PAGE, MREMAP_FIXED, FAR);
    TRY(mremap, FAR + 2 * MB, PAGE, PAGE, MREMAP_MAYMOVE);
    TRY(mremap, FAR + MB, 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE);
    TRY(mremap, FAR + MB, 4 * PAGE, 0, MREMAP_MAYMOVE);
    TRY(munmap, FAR, 2 * MB);
}

/* As a runtime does it: 100 GB of addresses, a piece of them used. */
static void reserves(void)
{
    char *big = mmap(0, 100 * GB, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    IS(big != MAP_FAILED);
    IS(mprotect(big + 50 * GB, 4 * MB, RW));
    big[50 * GB] = big[50 * GB + 4 * MB - 1] = 1;
    IS(big[50 * GB] + big[50 * GB + MB] + big[50 * GB + 4 * MB - 1]);
    IS(result(write(2, big + 50 * GB - 1, 1)));
    TRY(mmap, 0xc000000000, 64 * MB, PROT_NONE, ANON, -1, 0);
    TRY(mmap, 0xc000000000, 64 * MB, RW, FIXED, -1, 0);
    for (size_t i = 0; i < 64; i++)
        *(size_t *)(0xc000000000 + i * MB) = i;
    IS(*(size_t *)(0xc000000000 + 63 * MB));
    TRY(munmap, 0xc000000000, 64 * MB);
    IS(munmap(big, 100 * GB));
}

/* Buffers of calls that begin in one page and end in another. */
static void buffers(void)
{
    struct iovec *iov = (void *)at(2 * MB - sizeof *iov);
    char *name;
    TRY(mmap, FAR, 4 * MB, RW, FIXED, -1, 0);
    at(2 * MB)[0] = 1; /* so that the pages before and behind lie apart */
    at(2 * MB - 1)[0] = 1;
    iov[0].iov_base = iov[1].iov_base = at(2 * MB - 10);
    iov[0].iov_len = iov[1].iov_len = 20;
    IS(writev(2, iov, 2));
    IS(getrandom(at(2 * MB - 100), 200, 0));
    name = strcpy(at(2 * MB - 3), "/nowhere");
    IS(result(open(name, 0)));
    IS(getcwd(at(2 * MB - 1), 100) == at(2 * MB - 1));
    IS(at(2 * MB)[0]);
    TRY(munmap, FAR, 4 * MB);
}

static void try_all(int to)
{
    used = 0;
    hints(); overlaps(); guards(); advice(); moves(); reserves(); buffers();
    if (to)
        write(to, text, used);
}

static void on_get(const char *url, const char *arg)
{
    if (url[1] == 'i')
        try_all(0);
    backend_response(200, "text/plain", 10, text, used);
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return try_all(1), 0;
    if (!strcmp(argv[1], "at the start"))
        try_all(0);
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


@pytest.fixture(scope="module")
def linux():
    """What this Linux answers."""
    run = subprocess.run(
        [compile_guest(PROGRAM)],
        cwd="/",
        capture_output=True,
        check=True,
    )
    return results(run.stdout.decode())


@pytest.mark.parametrize("when", ["at the start", "in a request"])
def test_far_mappings_are_as_on_linux(guest, linux, when):
    vm = guest(PROGRAM, whole=True, arguments=[when], max_memory=256)
    for _ in range(2):
        ours = results(vm.text(f"/{when}"))
        assert ours.keys() == linux.keys()
        assert {call for call in linux if ours[call] != linux[call]} == set()


REQUESTS = (
    SHOW
    + r"""
static char *kept;
static void on_get(const char *url, const char *arg)
{
    long found = 0;
    if (url[1] == 'm') { /* maps, touches, and leaves it there */
        mmap(at(0), 8 * MB, RW, FIXED, -1, 0);
        found = at(0)[0] + at(5 * MB)[0];
        at(0)[0] = at(5 * MB)[0] = 1;
    } else if (url[1] == 't') { /* touches what main has reserved */
        for (size_t i = 0; i < 16; i++)
            found += kept[i * MB]++;
    } else if (url[1] == 'u') { /* takes away what main has mapped */
        found = kept[MB] + kept[4 * MB];
        munmap(kept, 2 * MB);
        mprotect(kept + 4 * MB, MB, PROT_NONE);
        madvise(kept + 6 * MB, MB, MADV_DONTNEED);
        found += kept[6 * MB] ? -100 : 0;
    } else if (url[1] == 'n') { /* the same with memory that is not far */
        static char near[8 * 4096] __attribute__((aligned(4096)));
        found = near[5]++;
        mprotect(near, PAGE, PROT_READ);
        munmap(near + PAGE, PAGE);
        found += result(getrandom(near, 1, 0)) == -EFAULT ? 0 : 100;
        found += result(getrandom(near + PAGE, 1, 0)) == -EFAULT ? 0 : 100;
    }
    char answer[100];
    backend_response(200, "text/plain", 10, answer, sprintf(answer, "%ld", found));
}
int main(void)
{
    kept = mmap(at(GB), 16 * MB, RW, FIXED, -1, 0);
    kept[MB] = kept[4 * MB] = kept[6 * MB] = 1;
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


def test_a_request_finds_far_memory_as_it_was_frozen(guest):
    vm = guest(REQUESTS, whole=True)
    wanted = {"/map": "0", "/touch": "3", "/unmap": "2", "/near": "0"}
    for _ in range(3):
        for url, answer in wanted.items():
            for _ in range(2):
                assert vm.text(url) == answer
                assert vm.vm.differing_pages() == 0


def test_a_request_that_changes_no_mapping_is_one_run(guest):
    vm = guest(REQUESTS, whole=True)
    vm.text("/map")
    vm.text("/")
    vm.text("/")
    assert vm.exits == (1, 0)


FILE = (
    SHOW
    + r"""
static void on_get(const char *url, const char *arg)
{
    int file = open("/file", O_RDONLY);
    mmap(at(0), 90 * MB, PROT_NONE, FIXED, -1, 0);
    mmap(at(PAGE), 80 * MB, PROT_READ, MAP_FIXED | MAP_PRIVATE, file, 0);
    for (size_t i = PAGE; i < 80 * MB; i += 10 * MB - 1)
        used += sprintf(text + used, "%d ", at(i)[0]);
    used += sprintf(text + used, "%ld %ld", writes(PAGE), reads(PAGE + 80 * MB));
    backend_response(200, "text/plain", 10, text, used);
}
int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


def test_a_large_file_is_mapped_where_the_program_says(guest, tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        for i in range(8):
            file.seek(i * (10 * MB - 1))
            file.write(bytes([i + 1]))
        file.truncate(80 * MB)
    allowed = Policy((AllowedPath(path, "/file", False, False),))
    limits = {"max_memory": 256, "max_request_memory": 256, "limit": 60.0}
    vm = guest(FILE, whole=True, allowed=allowed, **limits)
    assert vm.text() == f"1 2 3 4 5 6 7 8 {-errno.EFAULT} {-errno.EFAULT}"


# A libc of this machine cannot be linked there: this program has none.
LINKED = r"""
#include "kvm_api.h"
static int data = 5, zero[100000];
static void on_get(const char *url, const char *arg)
{
    char text[] = "0 0";
    text[0] += data++, text[2] += zero[99999]++;
    backend_response(200, "text/plain", 10, text, 3);
}
void begin(void)
{
    zero[99999] = 1;
    set_backend_get(on_get);
    wait_for_requests();
}
__asm__(".globl _start\n_start: and $-16, %rsp\n call begin\n");
"""


@pytest.mark.parametrize("code", ["separate-code", "noseparate-code"])
@pytest.mark.parametrize("address", ["0x100000000", "0x7f0000001000"])
def test_a_program_may_be_linked_anywhere(guest, address, code):
    linked = (f"-Wl,-Ttext-segment={address}", f"-Wl,-z,{code}")
    flags = ("-static", "-nostdlib", "-fPIE", "-fno-builtin", *linked)
    vm = guest(LINKED, whole=True, flags=flags)
    assert [vm.text(), vm.text()] == ["5 1", "5 1"]


def test_a_program_without_room_for_its_image_is_not_started(guest):
    linked = ("-Wl,-Ttext-segment=0x100000000", "-static", "-nostdlib", "-fPIE")
    source = "int much[3 << 20] = {1};" + LINKED
    with pytest.raises(native.NativeError, match="no memory for the program"):
        guest(source, whole=True, flags=linked, max_memory=16)


BODIES = (
    SHOW
    + r"""
static char message[] = "hello";
static void on_get(const char *url, const char *arg)
{
    char *body = at(2 * MB - 3), *type = at(4 * MB - 3);
    for (size_t i = 0; i < 3; i++) /* so that no two of these lie side by side */
        at((4 - 2 * i) * MB)[0] = at((6 + 2 * i) * MB)[0] = 1;
    if (url[1] == 'e') /* ends where nothing is */
        body = at(16 * MB - 3);
    backend_response(200, strcpy(type, "a/bcde"), 6,
        url[1] == 'e' ? body : strcpy(body, message), 5);
}
int main(void)
{
    mmap(at(0), 16 * MB, RW, FIXED, -1, 0);
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


def test_host_calls_take_far_buffers_that_lie_in_pieces(guest):
    vm = guest(BODIES, whole=True)
    for _ in range(2):
        response = vm.get("/")
        assert response.body == b"hello"
        assert b"Content-Type: a/bcde" in response.head
    assert vm.get("/end").status == 500
    assert vm.failure == "response: unreadable body"


# Far memory that is touched from its beginning on lies in pieces of 2 MB.
LARGE = (
    SHOW
    + r"""
static char *fill(size_t len, char with)
{
    return memset(mmap(at(0), len, RW, FIXED, -1, 0), with, len);
}
static long count(size_t n, struct virtbuffer *buffers, size_t res)
{
    char *got = buffers[0].data;
    size_t len = buffers[0].len;
    memset(at(0), got[0] + got[len / 2] + got[len - 1], 70 * MB);
    storage_return(at(0), 70 * MB);
    return 0;
}
static void on_get(const char *url, const char *arg)
{
    char answer[100];
    size_t len = atoi(url + 2) * MB;
    char *far = fill(90 * MB, 1), *to = at(GB);
    if (url[1] == 'b')
        backend_response(200, "text/plain", 10, far, len);
    mmap(to, 70 * MB, RW, FIXED, -1, 0);
    long n = storage_call((void *)count, far, len, to, 70 * MB);
    backend_response(200, "text/plain", 10, answer,
        sprintf(answer, "%ld %d %d", n >> 20, to[0], to[70 * MB - 1]));
}
int main(void)
{
    if (IS_STORAGE()) {
        mmap(at(0), 70 * MB, RW, FIXED, -1, 0);
        STORAGE_ALLOW(count);
    }
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


def test_large_far_buffers_go_to_storage_and_back(guest):
    limits = {"limit": 120.0, "storage_time": 60.0, "storage": True}
    vm = guest(LARGE, whole=True, max_memory=512, max_request_memory=400, **limits)
    assert vm.text("/s30") == "70 3 3"
    assert vm.text("/s80") == "-1 0 0", "the inbox has less"
    assert vm.vm.differing_pages() == 0


def test_a_large_far_body_is_answered_or_refused_with_what_to_do(guest):
    limits = {"max_memory": 512, "max_request_memory": 400, "limit": 120.0}
    vm = guest(LARGE, whole=True, **limits)
    assert vm.get("/b60").body == bytes([1]) * (60 * MB)
    assert vm.get("/b80").status == 500
    reason = "response: a body of 80 MB at a far address: at most 64 MB have room there"
    assert vm.failure == f"{reason}, stream more"


HOSTILE = (
    SHOW
    + r"""
static void on_get(const char *url, const char *arg)
{
    char answer[400];
    int n = 0;
    if (url[1] == 'o') { /* over what is the host's */
        const unsigned long wrong[] = {0, 0x1000, 0x4000, 0x6000, 0x7000, 0x8000,
            0x100000, 0x101000, 64 * MB, 66 * MB, 76 * MB, 86 * MB, 88 * MB,
            0x40000000 - PAGE};
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
            n += mmap((void *)wrong[i], PAGE, 7, FIXED, -1, 0) != MAP_FAILED;
            munmap((void *)wrong[i], PAGE);
            mprotect((void *)wrong[i], PAGE, 7);
            mremap((void *)wrong[i], PAGE, 2 * PAGE, MREMAP_MAYMOVE);
        }
    }
    if (url[1] == 't') { /* 10,000 ranges, no two of which are one */
        for (size_t i = 0; i < 10000; i++)
            n += mmap(at(i * 2 * GB), PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0)
                != MAP_FAILED;
        for (size_t i = 0; i < 10000; i++)
            munmap(at(i * 2 * GB), PAGE);
    }
    if (url[1] == 's') /* more tables than there are, one after the other */
        for (size_t i = 0; i < 600; i++) {
            mmap(at(i * GB), PAGE, RW, FIXED, -1, 0);
            at(i * GB)[0] = 1;
            munmap(at(i * GB), PAGE);
            n++;
        }
    if (url[1] == 'w') { /* whole memory, by itself or by the host's hand */
        char *all = mmap(at(0), GB, RW, FIXED, -1, 0);
        if (url[7] == 'h')
            getcwd(all + GB - 100, 100);
        for (size_t i = 0; url[7] == 'g' && i < GB; i += PAGE)
            all[i] = 1;
        if (url[7] == 'b')
            backend_response(200, all, 5, all, GB);
    }
    if (url[1] == 'g') /* a guard page */
        *(char *)mmap(at(0), PAGE, PROT_NONE, FIXED, -1, 0) = 1;
    if (url[1] == 'x') /* no code */
        ((void (*)(void))mmap(at(0), PAGE, RW, FIXED, -1, 0))();
    if (url[1] == 'c') /* not canonical */
        *(volatile char *)(1ul << 47) = 1;
    if (url[1] == 'l') /* more than address_space */
        for (size_t i = 0; i < 100; i++)
            n += mmap(0, 100 * GB, PROT_NONE, ANON, -1, 0) != MAP_FAILED;
    backend_response(200, "text/plain", 10, answer, sprintf(answer, "%d", n));
}
int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)

FAILS = {
    "/whole guest": "out of memory: all of max_memory (64 MB) is in use",
    "/whole body": "out of memory: all of max_memory (64 MB) is in use",
    "/guard": "page fault writing 0x600000000000",
    "/x": "page fault executing 0x600000000000",
    "/canonical": "general protection fault",
}


def test_a_hostile_program_harms_only_its_own_request(guest):
    vm = guest(HOSTILE, whole=True, max_request_memory=64, limit=100)
    for url, reason in FAILS.items():
        assert vm.get(url).status == 500
        assert reason in vm.failure
        assert vm.text("/over") == "0"
    assert vm.text("/table") == "10000"
    assert vm.text("/scatter") == "600"
    assert vm.text("/whole host") == "0"
    assert vm.text("/limit") == "10"
    assert vm.vm.differing_pages() == 0


STORAGE = (
    SHOW
    + r"""
static long in_storage(size_t n, struct virtbuffer *buffers, size_t res)
{
    long tries[] = {++at(MB)[0], ++at(3 * MB)[0],
        mmap(at(GB), PAGE, RW, FIXED, -1, 0) != MAP_FAILED,
        munmap(at(0), PAGE), mprotect(at(0), PAGE, PROT_READ),
        madvise(at(MB), PAGE, MADV_DONTNEED), at(MB)[0]};
    at(MB)[0] = 2;
    storage_return(tries, sizeof tries);
    return 0;
}
static void on_get(const char *url, const char *arg)
{
    long tries[7] = {0};
    char answer[200];
    int len = 0;
    storage_call((void *)in_storage, 0, 0, tries, sizeof tries);
    for (int i = 0; i < 7; i++)
        len += sprintf(answer + len, "%ld ", tries[i]);
    backend_response(200, "text/plain", 10, answer, len);
}
int main(int argc, char **argv)
{
    if (IS_STORAGE()) {
        mmap(at(0), strcmp(argv[1], "much") ? 4 * MB : GB, RW, FIXED, -1, 0);
        mmap(at(8 * GB), 100 * GB, PROT_NONE, FIXED, -1, 0);
        at(MB)[0] = 1;
        STORAGE_ALLOW(in_storage);
    }
    set_backend_get(on_get);
    wait_for_requests();
}
"""
)


def test_storage_keeps_far_memory_and_its_mappings(guest):
    vm = guest(STORAGE, whole=True, storage=True)
    assert vm.text() == "2 1 0 -1 -1 0 0 "
    assert vm.text() == "3 2 0 -1 -1 0 0 "


def test_storage_that_maps_more_than_its_memory_is_not_started(guest):
    with pytest.raises(native.NativeError, match="has mapped more than max_memory"):
        guest(STORAGE, whole=True, storage=True, arguments=["much"])
