"""Shared memory: one region, the same in every clone and in storage, outside reset."""

import pytest
from support.clones import EMULATED, ask, from_threads
from support.guests import MB

from skerry.message import Request
from skerry.native import NativeError, SharedMemory

pytestmark = pytest.mark.core

REQUESTS = 30 if EMULATED else 300  # of each of several threads
ADDITIONS = 1_000 if EMULATED else 100_000  # in one request

AREA = r"""
static struct shared_memory_info area, asked;
START { area = shared_memory_area(); asked = sys_shared_memory_area(); }
HANDLE {
    const struct shared_memory_info now = shared_memory_area();
    const struct shared_memory_info again = sys_shared_memory_area();
    reply("%lx %lu %d", area.ptr, area.end - area.ptr,
          memcmp(&area, &asked, 16) == 0 && memcmp(&area, &now, 16) == 0 &&
          memcmp(&area, &again, 16) == 0);
}
"""


@pytest.mark.parametrize("megabytes", [2, 4, 64])
def test_the_area_is_as_large_as_configured_and_at_one_place(guest, megabytes):
    vm = guest(AREA, shared_memory=megabytes)
    begin, size, same = vm.text().split()
    assert (int(size), same) == (megabytes * MB, "1")
    assert int(begin, 16) % (2 * MB) == 0
    with vm.clone() as other:
        assert ask(other).body.decode().split()[0] == begin


def test_without_shared_memory_there_is_no_area(guest):
    assert guest(AREA).text() == "0 0 1"


@pytest.mark.parametrize("size", [0, 1, MB, 3 * MB, 2 * MB + 1, 2048 * MB])
def test_a_size_in_other_steps_than_2_mb_is_refused(size):
    with pytest.raises(NativeError, match="multiple of 2 MB, at most 1 GB"):
        SharedMemory(size)


def test_it_begins_as_zeros_and_all_of_it_can_be_used(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            const struct shared_memory_info area = shared_memory_area();
            long sum = 0;
            volatile long *at = (void *)area.ptr;
            for (; at < (long *)area.end; at += 64) {
                sum += *at;
                *at = 1;
            }
            reply("%ld", sum);
        }
        """,
        shared_memory=4,
    )
    assert [vm.text() for _ in range(3)] == ["0", "8192", "8192"]


# --- SHM_ALLOC ---

ALLOCATE = r"""
struct pair { long a; char b; };
static void *got[8];
static long *number;
START {
    got[0] = SHM_ALLOC_BYTES(1);
    got[1] = SHM_ALLOC(100);
    got[2] = SHM_ALLOC_TYPE(char);
    got[3] = number = SHM_ALLOC_TYPE(*number);
    got[4] = SHM_ALLOC_TYPE(struct pair);
    got[5] = SHM_ALLOC_BYTES(0);
}
STORAGE_PART
HANDLE {
    const char *base = (char *)shared_memory_area().ptr;
    reply("%ld %ld %ld %ld %ld %ld", (char *)got[0] - base, (char *)got[1] - base,
          (char *)got[2] - base, (char *)got[3] - base, (char *)got[4] - base,
          (char *)got[5] - base);
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_allocations_do_not_overlap_and_are_aligned(guest, compiler):
    text = ALLOCATE.replace("STORAGE_PART", "")
    vm = guest(text, shared_memory=2, compiler=compiler)
    places = [int(place) for place in vm.text().split()]
    sizes, steps = [1, 100, 1, 8, 16, 0], [16, 16, 1, 8, 8, 16]
    assert places[0] == 0
    assert all(place % step == 0 for place, step in zip(places, steps, strict=True))
    ends = [place + size for place, size in zip(places, sizes, strict=True)]
    assert all(end <= place for end, place in zip(ends, places[1:], strict=False))


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_allocations_are_at_the_same_place_in_request_and_storage(guest, compiler):
    compare = r"""
    static void places(size_t n, struct virtbuffer buf[], size_t res)
    {
        storage_return(got, sizeof got);
    }
    static void check(void)
    {
        void *theirs[8];
        storage_call(places, NULL, 0, theirs, sizeof theirs);
        if (memcmp(theirs, got, sizeof got) != 0 || number == NULL)
            __builtin_trap();
    }
    """
    text = ALLOCATE.replace("STORAGE_PART", compare).replace(
        "HANDLE {", "HANDLE { check();"
    )
    vm = guest(text, shared_memory=2, storage=True, compiler=compiler)
    assert vm.text().startswith("0 16 ")


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_allocations_that_run_out_are_null(guest, compiler):
    vm = guest(
        r"""
        struct large { char room[1 << 20]; };
        static void *got[6];
        START {
            got[0] = SHM_ALLOC_TYPE(struct large);
            got[1] = SHM_ALLOC_BYTES((1 << 20) + 1);
            got[2] = SHM_ALLOC_BYTES(~0ul);
            got[3] = SHM_ALLOC_BYTES(1 << 20);
            got[4] = SHM_ALLOC_BYTES(1);
            got[5] = SHM_ALLOC_TYPE(int);
        }
        HANDLE {
            reply("%d%d%d%d%d%d", !!got[0], !!got[1], !!got[2], !!got[3], !!got[4],
                  !!got[5]);
        }
        """,
        shared_memory=2,
        compiler=compiler,
    )
    assert vm.text() == "100100"


def test_without_shared_memory_allocations_are_null(guest):
    vm = guest(
        r"""
        static void *bytes, *type;
        START { bytes = SHM_ALLOC_BYTES(1); type = SHM_ALLOC_TYPE(int); }
        HANDLE { reply("%p %p", bytes, type); }
        """
    )
    assert vm.text() == "(nil) (nil)"


# --- What lasts ---

COUNTER = r"""
static long *counter;
START { counter = SHM_ALLOC_TYPE(*counter); }
HANDLE {
    const long before = __sync_fetch_and_add(counter, 1);
    if (strstr(url, "fail"))
        __builtin_trap();
    reply("%ld", before);
}
"""


def test_it_is_not_put_back_after_a_request_not_even_one_that_failed(guest):
    vm = guest(COUNTER, shared_memory=2)
    assert [vm.text() for _ in range(3)] == ["0", "1", "2"]
    assert vm.get("/fail").status == 500
    with vm.clone() as other:
        assert ask(other).body == b"4"
    assert vm.text() == "5"


def test_writing_it_costs_nothing_of_the_requests_memory(guest):
    vm = guest(
        r"""
        START {}
        HANDLE {
            const struct shared_memory_info area = shared_memory_area();
            memset((void *)area.ptr, 1, area.end - area.ptr);
            reply("x");
        }
        """,
        shared_memory=16,
        max_request_memory=4,
    )
    assert [vm.text(), vm.text()] == ["x", "x"]
    assert vm.vm.serve(Request(b"GET", b"/")).status == 200
    assert 0 < vm.vm.reset() < 100


def test_start_up_of_both_machines_is_seen_by_requests(guest):
    vm = guest(
        r"""
        static long *starts;
        START {
            starts = SHM_ALLOC_TYPE(*starts);
            __sync_fetch_and_add(starts, IS_STORAGE() ? 100 : 1);
        }
        HANDLE { reply("%ld", *starts); }
        """,
        shared_memory=2,
        storage=True,
    )
    assert vm.text() == "101"


def test_storage_and_requests_count_together(guest):
    vm = guest(
        r"""
        static long *counter;
        static void add(size_t n, struct virtbuffer buf[], size_t res)
        {
            __sync_fetch_and_add(counter, 1);
            storage_return_nothing();
        }
        START { counter = SHM_ALLOC_TYPE(*counter); }
        HANDLE {
            storage_call(add, NULL, 0, NULL, 0);
            reply("%ld", __sync_add_and_fetch(counter, 1));
        }
        """,
        shared_memory=2,
        storage=True,
    )
    assert [vm.text() for _ in range(3)] == ["2", "4", "6"]
    from_threads(vm, threads=2, requests=REQUESTS // 3)
    assert vm.text() == str(8 + 2 * 2 * (REQUESTS // 3))


def test_clones_in_threads_count_every_request_once(guest):
    vm = guest(COUNTER, shared_memory=2)
    bodies = from_threads(vm, threads=3, requests=REQUESTS)
    assert sorted(map(int, bodies)) == list(range(3 * REQUESTS))


def test_atomic_additions_of_clones_that_run_together_are_exact(guest):
    vm = guest(
        r"""
        static long *counter;
        START { counter = SHM_ALLOC_TYPE(*counter); }
        HANDLE {
            for (int i = 0; i < atoi(url + 1); i++)
                __sync_fetch_and_add(counter, 1);
            reply("%ld", *counter);
        }
        """,
        shared_memory=2,
    )
    from_threads(vm, threads=2, requests=10, url=f"/{ADDITIONS}")
    assert vm.text("/0") == str(2 * 10 * ADDITIONS)


def test_a_response_and_a_storage_call_may_lie_in_shared_memory(guest):
    vm = guest(
        r"""
        static void upper(size_t n, struct virtbuffer buf[], size_t res)
        {
            char *text = (char *)buf[0].data;
            for (size_t i = 0; i < buf[0].len; i++)
                text[i] -= 32;
            storage_return(text, buf[0].len);
        }
        static char *area;
        START { area = SHM_ALLOC_BYTES(100); }
        HANDLE {
            strcpy(area, "text/plain" "body" "a: b");
            storage_call(upper, area + 10, 4, area + 10, 4);
            sys_http_append(RESPONSE, area + 14, 4);
            backend_response(200, area, 10, area + 10, 4);
        }
        """,
        shared_memory=2,
        storage=True,
    )
    answer = vm.get()
    assert answer.head == b"Content-Type: text/plain\r\na: b\r\n"
    assert answer.body == b"BODY"


def test_programs_do_not_share_theirs(guest):
    one, other = guest(COUNTER, shared_memory=2), guest(COUNTER, shared_memory=2)
    assert [one.text(), one.text(), other.text(), one.text()] == ["0", "1", "0", "2"]
