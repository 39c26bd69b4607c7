"""A storage call happens entirely or not at all."""

import random

import pytest
from support.books import GUEST, KEYS, LOOP, SOURCE, WAYS_TO_FAIL, configure
from support.books import clone as clone_of
from support.books import digest as digest_of
from support.books import text as text_of
from support.clones import EMULATED, ask
from support.guests import Guest

from skerry import native
from skerry.log import Log
from skerry.start import start

pytestmark = pytest.mark.core

CALLS = 100 if EMULATED else 1000
EMULATED_TIME = {"limit": 60.0, "storage_time": 20.0}  # it may stand still for seconds
TIME = EMULATED_TIME if EMULATED else {"storage_time": 0.5}


@pytest.fixture
def books(guest) -> Guest:
    """Books with something in every kind of memory."""
    vm = guest(SOURCE, **GUEST, **TIME)
    pairs = "/".join(f"{key}={key * 37}" for key in range(0, KEYS, 4))
    assert vm.text(f"/books/good/{pairs}").startswith("8 ")
    return vm


def digest(vm: Guest) -> str:
    """Of all state."""
    length, value = vm.text("/books/digest").split()
    assert length == "8"
    return value


PUTS = "7=1/8=2/9=3/190=4/7=5/10=6/11=7/12=8/13=9/14=10/15=11"


@pytest.mark.parametrize("how", [*WAYS_TO_FAIL, LOOP])
def test_a_call_that_fails_leaves_exactly_the_state_before(books, how):
    before, failed = digest(books), books.storage.counts().failed
    for _ in range(2):
        assert books.text(f"/books/{how}/{PUTS}") == "-1 0"
        assert digest(books) == before
    assert books.storage.counts().failed == failed + 2
    good = books.text(f"/books/good/{PUTS}")
    assert good == f"8 {digest(books)}"
    assert digest(books) != before


def test_a_call_that_fails_does_not_change_what_the_next_ones_do(guest):
    """The same good calls come to the same memory, to the address, whatever failed in
    between."""
    ends = set()
    for between in ("digest", *(f"{how}/{PUTS}" for how in WAYS_TO_FAIL)):
        vm = guest(SOURCE, **GUEST)
        for number in range(5):
            assert vm.text(f"/books/good/{number}=5/{number + 20}=9").startswith("8 ")
            vm.text(f"/books/{between}")
        ends.add(digest(vm))
        vm.close()
    assert len(ends) == 1


def test_a_call_that_writes_to_3000_pages_is_kept_whole(books):
    before = digest(books)
    length, after = books.text("/books/wide").split()
    assert (length, after) == ("8", digest(books))
    assert after != before
    assert books.text("/books/many") == "-1 0"
    assert digest(books) == after


def test_a_call_that_its_caller_does_not_outlive_is_taken_back(books):
    before = digest(books)
    with native.Vm(books.snapshot, books.console, 0.1, 0.0, books.storage) as hasty:
        response = ask(hasty, f"/books/{LOOP}/{PUTS}")
        assert (response.status, hasty.reason) == (500, "time limit reached")
    assert digest(books) == before
    assert books.text(f"/books/good/{PUTS}").startswith("8 ")


def test_a_request_that_fails_after_its_call_does_not_take_it_back(guest):
    vm = guest(
        r"""
        static int counter;
        static void call(size_t n, struct virtbuffer buf[], size_t res)
        {
            counter++;
            storage_return(&counter, 4);
        }
        START {}
        HANDLE {
            int now;
            storage_call(call, NULL, 0, &now, 4);
            if (url[1])
                __builtin_trap();
            reply("%d", now);
        }
        """,
        storage=True,
    )
    assert vm.get("/fail").status == 500
    assert vm.text("/") == "2"


def test_any_order_of_good_and_bad_calls_is_as_if_the_bad_ones_had_not_been(guest):
    vm = guest(SOURCE, **GUEST)
    chance, model = random.Random(5), list(range(KEYS))
    for number in range(CALLS):
        puts = [(chance.randrange(KEYS), chance.randrange(10**6)) for _ in range(4)]
        how = chance.choice(["good", "good", "good", "trap", "silent", "returned"])
        path = "/".join(f"{key}={value}" for key, value in puts)
        answer = vm.text(f"/books/{how}/{path}")
        assert (answer != "-1 0") == (how == "good")
        for key, value in puts if how == "good" else ():
            model[key] = value
        if number % 50 == 0:
            assert list(map(int, vm.text("/books/values").split())) == model
    assert list(map(int, vm.text("/books/values").split())) == model


def test_any_order_of_calls_is_in_the_file_as_it_was_in_memory(tmp_path):
    chance, config = random.Random(6), configure(storage_file=tmp_path / "state")
    before = None
    for _ in range(3 if EMULATED else 10):
        with start(config, Log()) as started, clone_of(started) as vm:
            assert before in (None, digest_of(vm))
            for _ in range(chance.randrange(20)):
                how = chance.choice(["good", "good", "trap", "wide", "many"])
                key, value = chance.randrange(KEYS), chance.randrange(10**6)
                text_of(vm, f"{how}/{key}={value}")
            before = digest_of(vm)
