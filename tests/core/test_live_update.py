"""on_live_update and on_live_restore: one build hands its state to the next."""

import pytest

from skerry.native import NativeError, is_moved

pytestmark = pytest.mark.core

# A counter in storage: every request adds one. LEAVE and ENTER register the callbacks,
# by header unless a test defines them otherwise.
COUNTER = r"""
static long count;
#ifdef __cplusplus
extern "C"
#endif
void increment(size_t n, struct virtbuffer *buf, size_t res)
{
    count++;
    storage_return(&count, sizeof count);
}
static void request(void)
{
    long now = -1;
    const long len = storage_call((storage_func)increment, 0, 0, &now, sizeof now);
    reply("%ld", len == sizeof now ? now : len);
}
"""
HEADER = (
    COUNTER
    + r"""
static void leave(void) { storage_return(&count, sizeof count); }
static void enter(size_t len) { storage_return(&count, sizeof count); }
START { set_on_live_update(leave); set_on_live_restore(enter); }
HANDLE { request(); }
"""
)
NUMBER = (
    COUNTER
    + r"""
static void leave(void) { kvm_api_call(0x10011, KVM_API_WORD(&count), 8, 0, 0); }
static void enter(size_t n) { kvm_api_call(0x10011, KVM_API_WORD(&count), n, 0, 0); }
START {
    kvm_api_call(0x10000, 6, KVM_API_WORD(leave), 0, 0);
    kvm_api_call(0x10000, 7, KVM_API_WORD(enter), 0, 0);
}
HANDLE { request(); }
"""
)
WAIT = 60.0  # seconds


def build(
    leave="storage_return(&count, sizeof count);", enter="storage_return(&count, len);"
):
    """A build whose callbacks have these bodies."""
    return COUNTER + (
        f"static void leave(void) {{ {leave} }}\n"
        f"static void enter(size_t len) {{ {enter} }}\n"
        "START { set_on_live_update(leave); set_on_live_restore(enter); }\n"
        "HANDLE { request(); }\n"
    )


def control(guest):
    """The descriptor by which others see what a storage is."""
    return guest.storage.export()[1][1]


def failure(old, new):
    """Why (old) cannot hand over to (new); then it has to go on as before."""
    with pytest.raises(NativeError) as error:
        old.storage.hand_over(new.storage, WAIT)
    assert not is_moved(control(old))
    return str(error.value)


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
@pytest.mark.parametrize("source", [HEADER, NUMBER], ids=["header", "number"])
def test_what_one_build_knows_the_next_one_knows(guest, source, compiler):
    old = guest(source, storage=True, compiler=compiler)
    assert [old.text() for _ in range(3)] == ["1", "2", "3"]
    new = guest(source + "/* another build */", storage=True, compiler=compiler)
    assert new.text() == "1"
    old.storage.hand_over(new.storage, WAIT)
    old.storage.let_go(True)
    assert [new.text() for _ in range(2)] == ["4", "5"]


def test_after_that_no_call_of_the_old_build_succeeds(guest):
    old, new = guest(HEADER, storage=True), guest(NUMBER, storage=True)
    assert old.text() == "1"
    old.storage.hand_over(new.storage, WAIT)
    assert not is_moved(control(old))
    old.storage.let_go(True)
    assert is_moved(control(old))
    assert old.text() == "-1"
    assert "another build has taken over" in str(old.lines())


def test_until_then_the_old_build_is_as_it_was(guest):
    old = guest(build(leave="count = 70; storage_return(&count, 8);"), storage=True)
    new = guest(HEADER, storage=True)
    assert old.text() == "1"
    old.storage.hand_over(new.storage, WAIT)
    old.storage.let_go(False)
    assert old.text() == "2"
    assert new.text() == "71"


def test_more_than_a_page_is_there_when_storage_return_comes_back(guest):
    """The new build may unpack what it got, in another layout than the old one's."""
    big = r"""
    char *all = malloc(len);
    storage_return(all, len);
    for (size_t i = 0; i < len; i++)
        count += all[i] == 7;
    """
    old = guest(
        build(
            leave="char *p = malloc(3 << 20); memset(p, 7, 3 << 20); "
            "storage_return(p, 3 << 20);"
        ),
        storage=True,
    )
    new = guest(build(enter=big), storage=True)
    old.storage.hand_over(new.storage, WAIT)
    old.storage.let_go(True)
    assert new.text() == str((3 << 20) + 1)


@pytest.mark.parametrize("way", ["storage_noreturn", "storage_return"])
def test_both_may_end_where_they_hand_over(guest, way):
    both = build(f"{way}(&count, 8);", f"{way}(&count, len);")
    old, new = guest(both, storage=True), guest(HEADER, storage=True)
    assert old.text() == "1"
    old.storage.hand_over(new.storage, WAIT)
    old.storage.let_go(True)
    next_one = guest(both, storage=True)
    new.storage.hand_over(next_one.storage, WAIT)
    new.storage.let_go(True)
    assert next_one.text() == "2"


def test_nothing_may_be_handed_over_in_so_many_words(guest):
    old = guest(build(leave="storage_return_nothing();"), storage=True)
    new = guest(build(enter="count = 5 + len;"), storage=True)
    old.storage.hand_over(new.storage, WAIT)
    old.storage.let_go(True)
    assert new.text() == "6"


CRASH = "*(volatile int *)0;"


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        ("", "on_live_update: it handed nothing over: call storage_return"),
        (CRASH, "on_live_update: page fault reading 0x0"),
        ("for (;;);", "on_live_update: time limit reached"),
        (
            "storage_noreturn((void *)64, 64);",
            "on_live_update: storage_return: unreadable",
        ),
        (
            "storage_return(malloc(20 << 20), 20 << 20);",
            "on_live_update: it handed over more than a quarter of max_memory",
        ),
    ],
)
def test_an_old_build_that_does_not_hand_over_goes_on(guest, leave, reason):
    limit = 1.0 if "for" in leave else 60.0
    old = guest(build(leave=leave), storage=True, storage_time=limit)
    new = guest(HEADER, storage=True)
    assert old.text() == "1"
    assert failure(old, new).startswith(reason)
    assert old.text() == "2"


@pytest.mark.parametrize(
    ("enter", "reason"),
    [
        ("", "on_live_restore: it named no buffer: call storage_return"),
        (CRASH, "on_live_restore: page fault reading 0x0"),
        ("for (;;);", "on_live_restore: time limit reached"),
        (
            "storage_return(&count, len - 1);",
            "on_live_restore: storage_return: a buffer of 7 bytes for 8",
        ),
        (
            'storage_return((void *)"constant", len);',
            "on_live_restore: storage_return: unwritable buffer",
        ),
        (
            "storage_noreturn(&count, 1);",
            "on_live_restore: storage_return: a buffer of 1 bytes for 8",
        ),
    ],
)
def test_a_new_build_that_does_not_take_over_leaves_the_old_one_be(
    guest, enter, reason
):
    old = guest(HEADER, storage=True)
    limit = 1.0 if "for" in enter else 60.0
    new = guest(build(enter=enter), storage=True, storage_time=limit)
    assert old.text() == "1"
    assert failure(old, new).startswith(reason)
    assert old.text() == "2"


@pytest.mark.parametrize("source", [HEADER, NUMBER], ids=["header", "number"])
def test_it_is_known_who_hands_over_and_who_takes(guest, source):
    both, none = (
        guest(source, storage=True),
        guest(COUNTER + "START {} HANDLE {}", storage=True),
    )
    assert (both.storage.leaves, both.storage.restores) == (True, True)
    assert (none.storage.leaves, none.storage.restores) == (False, False)


@pytest.mark.parametrize("number", [6, 7])
def test_a_callback_outside_the_program_or_after_the_wait_fails(guest, number):
    with pytest.raises(NativeError, match="is not a function of the program"):
        guest(f"START {{ register_func({number}, (void (*)(void))64); }} HANDLE {{}}")
    late = guest(
        "START {} static void f(void) {} "
        f'HANDLE {{ register_func({number}, f); reply("late"); }}'
    )
    assert late.get().status == 500
    assert late.failure == "register_func after wait_for_requests"


def test_in_a_restore_the_header_works_as_ever(guest):
    enter = """
    struct shared_memory_info area = shared_memory_area();
    storage_return(&count, len);
    if (IS_STORAGE() && area.end - area.ptr == 2 << 20)
        count += 100;
    """
    old = guest(HEADER, storage=True)
    new = guest(build(enter=enter), storage=True, shared_memory=2)
    assert old.text() == "1"
    old.storage.hand_over(new.storage, WAIT)
    old.storage.let_go(True)
    assert [new.text() for _ in range(2)] == ["102", "103"]


def test_a_task_that_a_restore_orders_runs_and_one_that_an_update_orders_does_not(
    guest,
):
    task = "storage_task((storage_func)increment, 0, 0);"
    old = guest(build(leave=task + "storage_return(&count, 8);"), storage=True)
    new = guest(build(enter=task + "storage_return(&count, len);"), storage=True)
    assert old.text() == "1"
    old.storage.hand_over(new.storage, WAIT)
    assert old.storage.counts().tasks_pending == 0
    old.storage.let_go(True)
    assert new.storage.run_task()
    assert new.text() == "3"
