"""Regular expressions, by number and by the header's functions."""

import os

import pytest

from skerry.message import Request
from skerry.native import Snapshot, Vm

pytestmark = pytest.mark.core

MB = 1 << 20
EINVAL, E2BIG, ENOSPC = -22, -7, -28

# By the header's functions, or, with -DBY_NUMBER, by the numbers of the table.
CALLS = r"""
#ifdef BY_NUMBER
#define CALL(...) CALL_(__VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(nr, a, b, c, d, e, f, ...) kvm_api_call6(nr, (uint64_t)(a), \
    (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f))
#define compile(text, len) CALL(0x10030, text, len)
#define release(handle) CALL(0x10031, handle)
#define match(handle, text, len) CALL(0x10032, handle, text, len)
#define subst(...) CALL(0x10033, __VA_ARGS__)
#define copyto(handle, from, to) CALL(0x10035, handle, from, to)
#else
#define compile sys_regex_compile
#define release sys_regex_free
#define match sys_regex_match
#define subst sys_regex_subst
#define copyto sys_regex_copyto
#endif
#define COMPILE(text) compile(text, strlen(text))
#define MATCH(handle, text) match(handle, text, strlen(text))
"""


@pytest.fixture(params=["by number", "c", "c++"])
def program(request, guest):
    """program(source): a guest whose calls are made in each way in turn."""
    flags = ["-static"] + ["-DBY_NUMBER"] * ("number" in request.param)
    compiler = "g++" if "++" in request.param else "gcc"

    def start(source: str, **options):
        return guest(CALLS + source, compiler=compiler, flags=tuple(flags), **options)

    return start


# --- Matching ---

MATCHES = r"""
static long user, broken;
START { user = COMPILE("user=([a-z]+)(;)?"); broken = COMPILE("(unclosed"); }
HANDLE {
    reply("%d %ld %ld %ld %d", user > 0, MATCH(user, "a user=fred"),
          MATCH(user, "user=fred;"), MATCH(user, "user="), broken < 0);
}
"""


def test_a_handle_made_at_start_up_matches_in_every_request(program):
    vm = program(MATCHES)
    assert [vm.text() for _ in range(3)] == ["1 2 3 -1 1"] * 3


def test_start_up_says_why_a_pattern_is_refused(program):
    vm = program(MATCHES)
    text = [line for _, line in vm.lines()]
    assert text == ["regex_compile: missing closing parenthesis at offset 9"]


def test_the_same_handle_matches_in_another_process(program):
    """... whose snapshot is made of the bytes and the memory that export() gives."""
    vm = program(MATCHES)
    data, fd = vm.snapshot.export()
    request = Request(b"GET", b"/", b"", b"", b"", b"")
    with (
        Snapshot.attach(data, os.dup(fd), None) as other,
        Vm(other, vm.console, 10.0, hold=True) as clone,
    ):
        assert clone.serve(request).body == b"1 2 3 -1 1"


def test_what_a_request_makes_and_frees_is_as_before_afterwards(program):
    vm = program(
        r"""
        static long kept, freed;
        START { kept = COMPILE("k"); freed = COMPILE("f"); }
        HANDLE {
            long before = MATCH(freed, "f"), gone = release(freed);
            long again = release(freed), none = MATCH(freed, "f");
            long own = COMPILE("o");
            reply("%ld %ld %ld %ld %d %ld %ld", before, gone, again, none,
                  own == freed, MATCH(own, "o"), MATCH(kept, "k"));
        }
        """
    )
    assert [vm.text() for _ in range(3)] == [f"1 0 {EINVAL} {EINVAL} 1 1 1"] * 3
    with vm.clone() as clone:
        request = Request(b"GET", b"/", b"", b"", b"", b"")
        assert clone.serve(request).body.decode() == vm.text()


def test_there_are_64_handles_and_no_others(program):
    vm = program(
        r"""
        static long last;
        START { for (int i = 0; i < 60; i++) last = COMPILE("a"); }
        HANDLE {
            for (int i = 0; i < 4; i++)
                last = COMPILE("b");
            reply("%ld %ld %ld %ld %ld %ld", last, MATCH(last, "b"), COMPILE("c"),
                  MATCH(0, "a"), MATCH(-1, "a"), MATCH(65, "a"));
        }
        """
    )
    assert vm.text() == f"64 1 {ENOSPC} {EINVAL} {EINVAL} {EINVAL}"
    assert vm.text() == f"64 1 {ENOSPC} {EINVAL} {EINVAL} {EINVAL}"


def test_a_handle_that_is_not_there_fails_no_request(program):
    vm = program(
        r"""
        START {}
        HANDLE {
            char room[8];
            reply("%ld %ld %ld %ld", release(1), MATCH(1, "a"),
                  subst(1, "a", "b", room, sizeof room, 0),
                  copyto(1, REQUEST, RESPONSE));
        }
        """
    )
    assert vm.text() == f"{EINVAL} {EINVAL} -1 {EINVAL}"


def test_bad_and_long_patterns_are_refused(program):
    vm = program(
        r"""
        static char text[4097];
        START { memset(text, 'a', sizeof text); }
        HANDLE {
            reply("%ld %ld %ld %d %ld", COMPILE("a("), COMPILE("(*UTF)a"),
                  COMPILE("(?:(?:(?:a{50}){50}){50}){50}"),
                  compile(text, 4096) > 0, compile(text, 4097));
        }
        """
    )
    assert vm.text() == f"{EINVAL} {EINVAL} {EINVAL} 1 {E2BIG}"


def test_start_up_makes_64_kb_of_patterns(program):
    vm = program(
        r"""
        static char text[4096];
        static int made;
        START {
            memset(text, 'a', sizeof text);
            while (compile(text, sizeof text) > 0)
                made++;
        }
        HANDLE { reply("%d", made); }
        """
    )
    assert vm.text() == "16"
    assert vm.lines()[0][1] == "regex_compile: more than 64 KB of patterns at start-up"


def test_characters_are_bytes(program):
    vm = program(
        r"""
        static long h;
        START { h = compile("^\0.\xff$", 5); }
        HANDLE { reply("%ld %ld", match(h, "\0\xc3\xff", 3), match(h, "\0\xff", 2)); }
        """
    )
    assert vm.text() == "1 -1"


# --- Limits of a match ---


def test_a_match_of_too_many_steps_is_none(program):
    vm = program(
        r"""
        static long h;
        static char text[5000];
        START { h = COMPILE("^(a+)+$"); memset(text, 'a', sizeof text - 2); }
        HANDLE {
            text[sizeof text - 2] = url[1];
            reply("%ld %ld", MATCH(h, "aaa"), match(h, text, sizeof text - 1));
        }
        """
    )
    assert vm.text("/b") == f"2 {E2BIG}"
    assert vm.text("/a") == "2 2"


def test_texts_and_strings_have_limits(program):
    vm = program(
        r"""
        static long h;
        static char text[(4 << 20) + 1], out[(1 << 20) + 1];
        START { h = COMPILE("b"); memset(text, 'a', sizeof text); }
        HANDLE {
            const long most = match(h, text, 4 << 20);
            const long over = match(h, text, sizeof text);
            text[1 << 20] = 0;
            const long long_string = subst(h, text, "", out, sizeof out, 0);
            const long long_subst = subst(h, "b", text, out, sizeof out, 0);
            text[(1 << 20) - 1] = 0;
            const long longest = subst(h, text, "", out, sizeof out, 0);
            reply("%ld %ld %ld %ld %ld", most, over, long_string, long_subst, longest);
        }
        """
    )
    assert vm.text() == f"-1 {E2BIG} -1 -1 {MB}"


# It takes a step for each of a million beginnings, which look at half a million bytes.
ENDLESS = r"""
static long h;
static char text[1 << 20], *room;
START {
    h = COMPILE("a*+[xy]");
    memset(text, 'a', sizeof text - 1);
    room = (char *)malloc(1 << 20);
}
HANDLE {
    if (url[1] == 'm')
        match(h, text, sizeof text - 1);
    if (url[1] == 's')
        subst(h, text, "", room, 1 << 20, 1);
    reply("over");
}
"""


@pytest.mark.parametrize("url", ["/match", "/subst"])
def test_a_match_ends_with_its_request(program, url):
    vm = program(ENDLESS, limit=0.3)
    assert vm.get(url).status == 500
    assert vm.failure == "time limit reached"
    assert vm.text("/") == "over"


BUSY = r"""
static long h, n;
static char text[10001];
START { h = COMPILE("a*+[xy]"); memset(text, 'a', 10000); }
HANDLE {
    n++;
    const long none = match(h, text, %d);
    reply("%%ld %%ld", none, n);
}
"""


def test_a_long_match_leaves_the_loop_and_goes_on_elsewhere(program):
    """serve() comes back without an answer, resume() brings it."""
    vm = program(BUSY % 10000, limit=60.0)
    request = Request(b"GET", b"/", b"", b"", b"", b"")
    with Vm(vm.snapshot, vm.console, 60.0, inline=0.001) as clone:
        assert clone.serve(request) is None
        assert clone.resume().body == b"-1 1"
        assert clone.serve(request) is None
        assert clone.resume().body == b"-1 1"


def test_a_long_match_in_storage_leaves_the_loop_too(program):
    vm = program(
        r"""
        static long h;
        static char text[10000];
        static int calls;
        static void in_storage(size_t n, struct virtbuffer buf[], size_t res)
        {
            const long found[2] = {++calls, match(h, text, sizeof text)};
            storage_return(found, sizeof found);
        }
        START { h = COMPILE("a*+[xy]"); memset(text, 'a', sizeof text); }
        HANDLE {
            long found[2];
            storage_call(in_storage, 0, 0, found, sizeof found);
            reply("%ld %ld", found[0], found[1]);
        }
        """,
        storage=True,
        limit=60.0,
        storage_time=60.0,
    )
    request = Request(b"GET", b"/", b"", b"", b"", b"")
    with Vm(vm.snapshot, vm.console, 60.0, 0.001, vm.storage) as clone:
        assert clone.serve(request) is None
        assert clone.resume().body == b"1 -1"


def test_a_long_match_in_a_storage_task_comes_to_its_end(guest):
    """... though a task is left ten times a second to see if the process ends."""
    vm = guest(
        r"""
        static long h, found;
        static char text[20000];
        static void search(void *data, size_t len)
        {
            found = sys_regex_match(h, text, sizeof text);
        }
        static void look(size_t n, struct virtbuffer buf[], size_t res)
        {
            storage_return(&found, sizeof found);
        }
        START { h = sys_regex_compile("a*+[xy]", 7); memset(text, 'a', sizeof text); }
        HANDLE {
            if (url[1] == 't')
                storage_task((storage_func)search, "", 1);
            storage_call(look, 0, 0, &found, sizeof found);
            reply("%ld", found);
        }
        """,
        storage=True,
    )
    assert vm.text("/task") == "0"
    assert vm.storage.run_task()
    assert vm.text("/") == "-1"


def test_on_error_answers_when_a_match_has_used_up_the_time(program):
    vm = program(
        r"""
        static long h;
        static char text[1 << 20];
        static void on_error(const char *url, const char *arg, const char *exception)
        {
            reply("%s, %ld", exception, MATCH(h, "aax"));
        }
        START {
            h = COMPILE("a*+[xy]");
            memset(text, 'a', sizeof text);
            set_on_error(on_error);
        }
        HANDLE { match(h, text, sizeof text); reply("over"); }
        """,
        limit=0.2,
    )
    assert vm.text() == "time limit reached, 1"


# --- Replacing ---

SUBST = r"""
static char dst[64];
START {}
static long handle;
static void say(const char *text, const char *with, size_t room, unsigned flags)
{
    const long ret = subst(handle, text, with, dst, room, flags);
    vlogf("%ld %s", ret, ret < 0 ? "" : dst);
}
HANDLE {
    memset(dst, '!', sizeof dst - 1);
    handle = COMPILE("(a+)(b)?");
    say("xaaby aa", "<\\1|\\2|\\0|\\&|\\3|\\\\|\\x>", 64, 0);
    say("xaaby aa", "-", 64, 0);
    say("xaaby aa", "-", 64, 1);
    say("none here", "-", 64, 1); /* no a: as it is */
    say("", "-", 64, 1);
    say("aa", "\\", 64, 0);
    say("aaaa", "1234567", 8, 0);
    say("aaaa", "1234567", 7, 0);
    say("aaaa", "", 0, 0);
    handle = COMPILE("a*");
    say("baac", "x", 64, 1);
    handle = COMPILE("(?<=x)y|^y");
    say("yxyy", "z", 64, 1);
    reply("done");
}
"""


def test_matches_are_replaced_one_or_all(program):
    vm = program(SUBST)
    assert vm.text() == "done"
    said = [line for _, line in vm.lines()]
    assert said == [
        r"25 x<aa|b|aab|aab||\|x>y aa",
        "7 x-y aa",
        "6 x-y -",
        "10 none here",
        "1 ",
        "2 \\",
        "8 1234567",
        "-1 ",
        "-1 ",
        "7 xbxxcx",
        "5 zxzy",
    ]


def test_what_does_not_fit_is_not_written(program):
    vm = program(
        r"""
        static long h;
        START { h = COMPILE("b"); }
        HANDLE {
            char text[] = "abc", room[] = "....";
            long no = subst(h, text, "long", room, sizeof room, 1);
            long in_place = subst(h, text, "x", text, sizeof text, 1);
            reply("%ld %s %ld %s", no, room, in_place, text);
        }
        """
    )
    assert vm.text() == "-1 .... 4 axc"


# --- Fields ---


def test_fields_that_match_are_copied(program):
    vm = program(
        r"""
        static long h;
        START { h = COMPILE("^(?i)x-[^:]*: ."); }
        HANDLE {
            http_append_str(RESPONSE, "X-Own: 1");
            long n = copyto(h, REQUEST, RESPONSE), same = copyto(h, REQUEST, REQUEST);
            http_append_str(RESPONSE, "X-Late: 2");
            long back = copyto(h, RESPONSE, REQUEST);
            reply("%ld %ld %ld %ld", n, same, back,
                  http_find_strlen(REQUEST, "x-late"));
        }
        """
    )
    head = b"Host: x-y: z\r\nX-A: 1\r\nx-b:  \r\nx-c: 2\r\nX-A: 3\r\n"
    for _ in range(2):
        answer = vm.get(headers=head)
        assert answer.body == f"3 {EINVAL} 5 9".encode()
        own = "X-Own: 1\r\nX-A: 1\r\nx-c: 2\r\nX-A: 3\r\nX-Late: 2\r\n"
        assert own in answer.head.decode()


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("copyto(h, 2, RESPONSE)", "headers of side 2"),
        ("copyto(h, REQUEST, -1)", "headers of side -1"),
        (
            "({for (int i = 0; i < 300; i++) copyto(h, REQUEST, RESPONSE); 0; })",
            "too many",
        ),
        ("compile((char *)8, 1)", "regex_compile: unreadable pattern"),
        ("match(h, (char *)8, 1)", "regex_match: unreadable text"),
        ("match(h, url, (size_t)1 << 40)", "regex_match: unreadable text"),
        ('subst(h, (char *)8, "a", room, 8, 0)', "regex_subst: unreadable string"),
        ('subst(h, "a", (char *)8, room, 8, 0)', "regex_subst: unreadable string"),
        ('subst(h, "a", "b", (char *)8, 8, 0)', "regex_subst: unwritable result"),
    ],
)
def test_what_cannot_be_read_written_or_taken_fails_the_request(program, call, reason):
    vm = program(
        f'static long h; START {{ h = COMPILE("."); }}'
        f'HANDLE {{ char room[8]; const long ret = {call}; reply("%ld", ret); }}'
    )
    assert vm.get().status == 500
    assert reason in vm.failure


# --- Storage and shared memory ---


def test_storage_matches_and_forgets_what_a_call_made(program):
    vm = program(
        r"""
        static long h;
        static void in_storage(size_t n, struct virtbuffer buf[], size_t res)
        {
            const long own = COMPILE("o");
            const long found[3] = {MATCH(h, "xs"), own, MATCH(own, "o")};
            storage_return(found, sizeof found);
        }
        START { if (sys_is_storage()) COMPILE("first"); h = COMPILE("s"); }
        HANDLE {
            long found[3];
            storage_call(in_storage, 0, 0, found, sizeof found);
            reply("%ld %ld %ld %ld", MATCH(h, "s"), found[0], found[1], found[2]);
        }
        """,
        storage=True,
    )
    assert [vm.text() for _ in range(3)] == ["1 1 3 1"] * 3


def test_copyto_fails_a_storage_call(program):
    vm = program(
        r"""
        static void in_storage(size_t n, struct virtbuffer buf[], size_t res)
        {
            copyto(COMPILE("."), REQUEST, RESPONSE);
            storage_return_nothing();
        }
        START {}
        HANDLE { reply("%ld", storage_call(in_storage, 0, 0, 0, 0)); }
        """,
        storage=True,
    )
    assert vm.text() == "-1"
    assert "regex_copyto outside of a request" in vm.lines()[0][1]


def test_shared_memory_is_matched(program):
    vm = program(
        r"""
        static long h;
        static char *text;
        START { h = COMPILE("sha.ed"); text = (char *)SHM_ALLOC_BYTES(64); }
        HANDLE {
            strcpy(text, "is shared");
            long found = match(h, text, 9), none = match(h, text, 8);
            long len = subst(h, text, "ours", text, 64, 0);
            reply("%ld %ld %ld %s", found, none, len, text);
        }
        """,
        shared_memory=2,
    )
    assert vm.text() == "1 -1 8 is ours"


def test_reset_forgets_what_a_replacement_wrote(program):
    vm = program(
        r"""
        static long h;
        static char room[3][4096] __attribute__((aligned(4096)));
        START { h = COMPILE("a"); strcpy(room[1], "before"); }
        HANDLE {
            char was[16];
            strcpy(was, room[1]);
            subst(h, "a", "after", room[1], 64, 0);
            reply("%s %s", was, room[1]);
        }
        """
    )
    assert [vm.text() for _ in range(3)] == ["before after"] * 3


@pytest.mark.parametrize(("ephemeral", "made"), [(True, "222"), (False, "234")])
def test_a_clone_that_is_kept_keeps_its_handles(guest, ephemeral, made):
    vm = guest(
        r"""
        static long h;
        START { h = sys_regex_compile("s", 1); }
        HANDLE { reply("%ld", sys_regex_compile("k", 1)); }
        """,
        hold=False,
        ephemeral=ephemeral,
    )
    assert "".join(vm.text() for _ in range(3)) == made
